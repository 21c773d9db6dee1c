//! Random walks through the model, longer than any that the checker can look at all of: four regions, every kind of fault, imported keys too.

use claviger_types::Origin;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::action::Action;
use super::scope::Budget;
use super::world::World;

fn plenty(restores: u8) -> Budget {
    Budget {
        rotations: 6,
        detaches: 4,
        replications: 4,
        handoffs: 5,
        refusals: 3,
        bids: 4,
        unheard: 3,
        crashes: 2,
        deletions: 4,
        cancels: 2,
        restores,
        imports: 12,
        losses: 4,
        bidders: vec![0, 1, 2, 3],
        restorable: vec![0, 1, 2, 3],
        leavers: vec![0, 1, 2, 3],
    }
}

/// What an action is, for how often it is to happen: what others wait for more often than what begins something.
fn weight(action: &Action) -> usize {
    match action {
        Action::Deliver { .. } | Action::Report { .. } => 0,
        Action::Taken { .. } | Action::Fetch { .. } | Action::Replicate { .. } | Action::Offer { .. } | Action::Take { .. } => 1,
        Action::Promise { .. } | Action::Outbid { .. } | Action::Promote { .. } | Action::Destroy { .. } | Action::Readmit { .. } => 1,
        _ => 2,
    }
}

/// One step that changes something, if there is one of the class that `class` names, from the place that `which` names on.
fn next(world: &World, class: usize, which: usize) -> Option<(Action, World)> {
    let mut actions = Vec::new();
    world.actions(&mut actions);
    let of_class: Vec<Action> = actions.into_iter().filter(|action| weight(action) == class).collect();
    let turned = of_class.iter().cycle().skip(which % of_class.len().max(1)).take(of_class.len());
    turned.into_iter().find_map(|action| world.step(action).map(|next| (action.clone(), next)))
}

fn walk(mut world: World, choices: &[(u8, u16)]) -> Result<(), TestCaseError> {
    let mut path = Vec::new();
    for (class, which) in choices {
        let Some((action, after)) = next(&world, [0, 0, 0, 1, 1, 2][usize::from(*class)], usize::from(*which)) else { continue };
        path.push(format!("{action:?}"));
        world = after;
        prop_assert!(world.ghost.broken.is_empty(), "{:?} after\n  {}", world.ghost.broken, path.join("\n  "));
    }
    prop_assert!(world.converges(), "convergence after\n  {}\n  {}", path.join("\n  "), world.after_drain());
    Ok(())
}

/// The same few walks each time, or as many others as `make model` asks for.
fn config() -> ProptestConfig {
    let walks: Option<u32> = std::env::var("CLAVIGER_MODEL_WALKS").ok().and_then(|text| text.parse().ok());
    let rng_seed = if walks.is_some() { RngSeed::Random } else { RngSeed::Fixed(1) };
    ProptestConfig {
        cases: walks.unwrap_or(150),
        rng_seed,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn generated_keys_hold(restores in 0_u8..3, choices in prop::collection::vec((0_u8..6, any::<u16>()), 0..160)) {
        walk(World::spread(Origin::AwsKms, plenty(restores)), &choices)?;
    }

    #[test]
    fn imported_keys_hold(restores in 0_u8..2, choices in prop::collection::vec((0_u8..6, any::<u16>()), 0..160)) {
        walk(World::spread(Origin::External, plenty(restores)), &choices)?;
    }
}
