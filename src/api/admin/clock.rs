//! The admin API's routes for clocks.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use claviger_shapes::admin::clock::AcceptClock;

use super::{Admin, Desk, answer, read};

pub(super) fn routes<A: Admin>() -> Router<Arc<Desk<A>>> {
    Router::new()
        .route("/v1/clock", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.clock_status().await)))
        .route("/v1/clock/accept", post(accept::<A>))
}

async fn accept<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let accept: AcceptClock = read(&desk.bodies, request).await?;
        desk.admin.accept_clock(accept).await
    };
    answer(outcome.await)
}
