use regrant_core::{Outcome, Policy, StoreFault};

use super::Flavour;
use crate::scene::{Scene, record};

pub(crate) const UNLOADED: &[Flavour] = &[
    ("the first load is out", || Scene::started(Policy::default(), Some(record()))),
    ("the first load failed", || {
        let scene = Scene::started(Policy::default(), Some(record()));
        scene.loads(Outcome::Failed(StoreFault::Locked))
    }),
    ("the first load failed, and somebody wants a token", || {
        let scene = Scene::started(Policy::default(), Some(record()));
        scene.loads(Outcome::Failed(StoreFault::Locked)).wanted(regrant_world::origin("x"))
    }),
    ("the first load found damage, and a login is being read in", || {
        let scene = Scene::started(Policy::default(), Some(record()));
        let login = Box::new(crate::scene::login(2));
        let scene = scene.loads(Outcome::Failed(StoreFault::Corrupt));
        scene.tell(regrant_core::Input::LoggedIn(login))
    }),
    ("a login is being saved over damage", || {
        let scene = Scene::started(Policy::default(), Some(record()));
        let login = Box::new(crate::scene::login(2));
        let scene = scene.loads(Outcome::Failed(StoreFault::Corrupt));
        let scene = scene.tell(regrant_core::Input::LoggedIn(login));
        scene.loads(Outcome::Failed(StoreFault::Corrupt))
    }),
];
