//! Every schedule of one save and another program that writes meanwhile, step by step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use zeroize::Zeroizing;

use super::{Bytes, Ended, Failed, Seen, Steps, commit};

const OLD: &str = "old";
const NEW: &str = "new";

/// How another program writes.
#[derive(Clone, Copy, Debug)]
enum Write {
    /// A file of its own, renamed over the one that is there.
    Renamed,
    /// The file is opened and emptied, and written later.
    InPlace,
}

/// One step of the other program.
#[derive(Clone, Copy, Debug)]
enum Event {
    Rename(&'static str),
    Open,
    /// The two halves of opening, in a system that is busy between them.
    Look,
    Empty,
    Fill(&'static str),
    Remove,
}

/// A folder with two names in it, and the files that they, and the other program, have.
struct Model {
    contents: BTreeMap<u64, String>,
    file: Option<u64>,
    draft: Option<u64>,
    opened: Option<u64>,
    next: u64,
    /// What the other program does yet.
    events: Vec<Event>,
    /// How many of its steps come before each of the save's.
    before: Vec<usize>,
    step: usize,
}

impl Model {
    fn happen(&mut self, count: usize) {
        for event in self.events.drain(..count.min(self.events.len())).collect::<Vec<_>>() {
            match event {
                Event::Rename(content) => self.file = Some(self.made(content)),
                Event::Open => {
                    let file = self.file.unwrap_or_else(|| self.made(""));
                    self.file = Some(file);
                    self.opened = Some(file);
                    self.contents.insert(file, String::new());
                }
                Event::Look => self.opened = self.file,
                Event::Empty => {
                    self.contents.insert(self.opened.expect("it is there"), String::new());
                }
                Event::Fill(content) => {
                    let file = self.opened.expect("it was opened");
                    self.contents.insert(file, content.to_owned());
                }
                Event::Remove => self.file = None,
            }
        }
    }

    fn made(&mut self, content: &str) -> u64 {
        self.next += 1;
        self.contents.insert(self.next, content.to_owned());
        self.next
    }

    fn read(&self, name: Option<u64>) -> Option<Seen> {
        name.map(|file| Seen::imagined(file, &self.contents[&file]))
    }
}

fn bytes(text: &str) -> Bytes {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// A save in a model, on a file system of this kind.
struct World {
    model: RefCell<Model>,
    can_exchange: bool,
}

impl World {
    fn new(events: &[Event], before: &[usize], can_exchange: bool) -> Self {
        let contents = BTreeMap::from([(0, OLD.to_owned()), (1, NEW.to_owned())]);
        Self {
            model: RefCell::new(Model {
                contents,
                file: Some(0),
                draft: Some(1),
                opened: None,
                next: 1,
                events: events.to_vec(),
                before: before.to_vec(),
                step: 0,
            }),
            can_exchange,
        }
    }

    /// The other program's steps that come before this one.
    fn step(&self) -> std::cell::RefMut<'_, Model> {
        let mut model = self.model.borrow_mut();
        let count = model.before.get(model.step).copied().unwrap_or(0);
        model.step += 1;
        model.happen(count);
        model
    }
}

impl Steps for World {
    fn exchange(&self) -> io::Result<()> {
        let mut model = self.step();
        if !self.can_exchange {
            return Err(ErrorKind::Unsupported.into());
        }
        if model.file.is_none() {
            return Err(ErrorKind::NotFound.into());
        }
        (model.file, model.draft) = (model.draft, model.file);
        Ok(())
    }

    fn create(&self) -> io::Result<()> {
        let mut model = self.step();
        if !self.can_exchange {
            return Err(ErrorKind::Unsupported.into());
        }
        if model.file.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        model.file = model.draft.take();
        Ok(())
    }

    fn replace(&self) -> io::Result<()> {
        let mut model = self.model.borrow_mut();
        model.file = model.draft.take();
        Ok(())
    }

    fn draft(&self) -> Option<Seen> {
        let model = self.step();
        model.read(model.draft)
    }

    fn file(&self) -> Option<Seen> {
        let model = self.step();
        model.read(model.file)
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.step());
        Ok(())
    }
}

/// Some writes of the other program, in its own way or by removing the file: as many as are never
/// lost.
fn programs() -> Vec<Vec<Event>> {
    let mut programs = Vec::new();
    for (way, most) in [(Write::Renamed, 3), (Write::InPlace, 2)] {
        // Each bit says which of them is a removal.
        for removals in 0..1_u8 << most {
            for count in 1..=most {
                let contents = ["one", "two", "three"].into_iter().take(count).enumerate();
                let events = contents.flat_map(|(index, content)| match way {
                    _ if removals & (1 << index) != 0 => vec![Event::Remove],
                    Write::Renamed => vec![Event::Rename(content)],
                    Write::InPlace => vec![Event::Open, Event::Fill(content)],
                });
                programs.push(events.collect());
            }
        }
    }
    programs
}

/// Every way to put so many things before so many steps; what is left comes after them.
fn placements(things: usize, steps: usize) -> Vec<Vec<usize>> {
    if steps == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for here in 0..=things {
        for rest in placements(things - here, steps - 1) {
            all.push([vec![here], rest].concat());
        }
    }
    all
}

/// What is in the file once all is over, and how the save ended.
fn run(world: &World, expected: Option<&str>) -> (Option<String>, Result<Ended, Failed>) {
    let expected = expected.map(bytes);
    let ended = commit(world, expected.as_ref());
    let mut model = world.model.borrow_mut();
    model.happen(usize::MAX);
    let file = model.file.map(|file| model.contents[&file].clone());
    (file, ended)
}

/// What the other program has written last.
fn last(events: &[Event]) -> Option<&'static str> {
    match events.last().expect("it wrote") {
        Event::Rename(content) | Event::Fill(content) => Some(content),
        Event::Open | Event::Look | Event::Empty => panic!("what is opened is filled"),
        Event::Remove => None,
    }
}

/// The steps of a save that puts something back three times.
const STEPS: usize = 9;

#[test]
fn what_another_program_writes_is_never_lost() {
    let (mut replaced, mut other) = (0, 0);
    for program in programs() {
        for before in placements(program.len(), STEPS) {
            let (file, ended) = run(&World::new(&program, &before, true), Some(OLD));
            let told = format!("{program:?} {before:?} {ended:?}");
            assert_eq!(file.as_deref(), last(&program), "{told}");
            match ended.unwrap_or_else(|error| panic!("{told} {error:?}")) {
                Ended::Replaced => replaced += 1,
                Ended::Other => other += 1,
            }
        }
    }
    assert!(replaced > 1_000 && other > 1_000, "{replaced} {other}");
}

#[test]
fn a_file_that_is_found_before_the_exchange_and_emptied_after_it_is_put_back() {
    let events = [Event::Look, Event::Empty, Event::Fill("one")];
    // The draft is read, changes places, is read, the folder is synced, and it is read again.
    for empty_at in 1..=4 {
        for fill_at in empty_at..=6 {
            let mut before = vec![1, 0, 0, 0, 0, 0, 0];
            before[empty_at] += 1;
            before[fill_at] += 1;
            let (file, ended) = run(&World::new(&events, &before, true), Some(OLD));
            assert_eq!(file.as_deref(), Some("one"), "{before:?} {ended:?}");
        }
    }
}

#[test]
fn a_file_that_is_made_meanwhile_is_not_replaced() {
    for events in [&[Event::Rename("one")][..], &[Event::Open, Event::Fill("one")]] {
        for before in placements(events.len(), 2) {
            let world = World::new(events, &before, true);
            world.model.borrow_mut().file = None;
            let (file, ended) = run(&world, None);
            assert_eq!(file.as_deref(), Some("one"), "{before:?} {ended:?}");
        }
    }
}

#[test]
fn without_an_exchange_what_was_written_before_the_last_look_is_kept() {
    for program in programs() {
        // The attempt to exchange, the last look; and what comes after the rename.
        for before in placements(program.len(), 2) {
            let events = &program[..];
            let (file, ended) = run(&World::new(events, &before, false), Some(OLD));
            let started = before.iter().sum::<usize>() > 0;
            let is_replaced = matches!(ended, Ok(Ended::Replaced));
            assert_eq!(started, !is_replaced, "{events:?} {before:?} {ended:?}");
            assert_eq!(file.as_deref(), last(events), "{events:?} {before:?}");
        }
    }
}

#[test]
fn where_nobody_else_writes_the_file_is_replaced() {
    for can_exchange in [true, false] {
        let (file, ended) = run(&World::new(&[], &[], can_exchange), Some(OLD));
        assert_eq!(file.as_deref(), Some(NEW));
        assert!(matches!(ended, Ok(Ended::Replaced)));
        let (file, ended) = run(&World::new(&[], &[], can_exchange), Some("another"));
        assert_eq!(file.as_deref(), Some(OLD));
        assert!(matches!(ended, Ok(Ended::Other)));
    }
}
