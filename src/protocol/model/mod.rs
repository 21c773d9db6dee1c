//! The rules, model-checked: `stateright` runs the functions of this crate in every order that a scope allows, and judges every state by the
//! properties of DESIGN.md section 5.3, under their names.
//!
//! `cargo test -p claviger-protocol` looks at a bounded part of each scope; `make model` goes deeper and prints how far it came.

mod action;
mod drain;
mod ghost;
#[cfg(feature = "known-bugs")]
mod planted;
mod random;
mod scope;
mod step;
mod world;

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::action::Action;
use self::ghost::{CONVERGENCE, DECRYPTABLE, IMMUTABLE, NO_REGRESS, NOT_LOST, ONE_LINE};
use self::scope::{SCOPES, Scope};
use self::world::World;

/// One scope, to be explored.
#[derive(Clone)]
struct Exploration {
    scope: Scope,
    deep: bool,
}

fn holds(world: &World, property: &'static str) -> bool {
    !world.ghost.broken.contains(property)
}

impl Model for Exploration {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![(self.scope.start)(self.deep)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // What comes after something is broken adds nothing.
        if world.ghost.broken.is_empty() {
            world.actions(actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        world.step(&action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = |name, condition: fn(&Self, &World) -> bool| Property::always(name, condition);
        vec![
            always(DECRYPTABLE, |_, world| holds(world, DECRYPTABLE)),
            always(ONE_LINE, |_, world| holds(world, ONE_LINE)),
            always(NO_REGRESS, |_, world| holds(world, NO_REGRESS)),
            always(IMMUTABLE, |_, world| holds(world, IMMUTABLE)),
            always(NOT_LOST, |_, world| holds(world, NOT_LOST)),
            always(CONVERGENCE, |_, world| !world.ghost.broken.is_empty() || world.converges()),
        ]
    }
}

/// What a run has found.
struct Explored {
    states: usize,
    /// Whether nothing was left out.
    whole: bool,
    depth: usize,
    took: Duration,
    /// The properties that were found broken by the shortest path, and that path.
    broken: Option<(Vec<&'static str>, String)>,
}

/// Explores `scope`, breadth first, until a property is broken or `states` were generated.
fn explore(scope: Scope, deep: bool, states: usize, threads: usize) -> Explored {
    let begun = Instant::now();
    let exploration = Exploration { scope, deep };
    let checker = exploration
        .clone()
        .checker()
        .threads(threads)
        .target_state_count(states)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found: Vec<_> = checker.discoveries().into_iter().map(|(name, path)| (path.into_actions(), name)).collect();
    found.sort_by_key(|(path, name)| (path.len(), *name));
    let broken = found.first().map(|(path, _)| {
        let steps: Vec<String> = path.iter().map(|action| format!("{action:?}")).collect();
        (found.iter().filter(|(other, _)| other == path).map(|(_, name)| *name).collect(), steps.join("\n  "))
    });
    Explored {
        states: checker.unique_state_count(),
        whole: checker.state_count() < states,
        depth: checker.max_depth(),
        took: begun.elapsed(),
        broken,
    }
}

fn explore_all(deep: bool, states: usize) {
    println!("scope | states | depth | all of it | time");
    println!("--- | --- | --- | --- | ---");
    let mut total = 0;
    for scope in SCOPES {
        let explored = explore(*scope, deep, states, 2);
        total += explored.states;
        println!(
            "{} | {} | {} | {} | {:.1?}",
            scope.name,
            explored.states,
            explored.depth,
            if explored.whole { "yes" } else { "" },
            explored.took
        );
        if let Some((properties, path)) = explored.broken {
            panic!("{properties:?} are broken in {}:\n  {path}", scope.name);
        }
    }
    println!("{total} states");
}

/// A bounded part of each scope.
#[test]
fn every_scope_holds() {
    let states = std::env::var("CLAVIGER_MODEL_STATES").ok().and_then(|text| text.parse().ok());
    explore_all(states.is_some(), states.unwrap_or(12_000));
}
