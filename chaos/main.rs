//! `chaos-proxy`: proxies for tests in other languages. Orders come on standard input, a line of JSON each, and are answered in their
//! order on standard output; at the end of the input all proxies end. See [`claviger_chaos::Request`].

use std::io::{self, BufRead, Write};

use claviger_chaos::{Proxies, Response};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut proxies = Proxies::default();
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(request) => runtime.block_on(proxies.obey(request)),
            Err(error) => Response::Error(error.to_string()),
        };
        serde_json::to_writer(&mut answers, &answer)?;
        answers.write_all(b"\n")?;
        answers.flush()?;
    }
    Ok(())
}
