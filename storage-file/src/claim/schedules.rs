//! Every schedule of a few savers and a sweeper, on a folder in memory.
//!
//! A saver's next step follows from the answers to its steps so far. So a step is taken by running
//! the saver anew with those answers, up to the first step that has none. Worlds that were seen
//! before are not walked again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use regrant_core::StoreFault;
use regrant_storage::{SaveOutcome, StoreError};

use super::{Ended, Steps, commit};
use crate::digest::Digest;

/// A folder: names, and what each names. Contents are never changed, so a number is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Folder {
    record: Option<u8>,
    /// By predecessor and content.
    drafts: BTreeSet<(Option<u8>, u8)>,
    /// By predecessor and number.
    claims: BTreeMap<(Option<u8>, u32), u8>,
    /// All that the record has become.
    published: BTreeSet<u8>,
}

/// One step, as a saver asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Current,
    Write(u8),
    Claim(u8, u32),
    ClaimedBy(u32),
    Release(u32),
    Publish(u8),
    Discard(u8),
    /// Of the sweeper: what is there now.
    List,
    /// Of the sweeper: what was listed, but for what is over this record.
    Sweep(Option<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Content(Option<u8>),
    Failed(ErrorKind),
    Listed(Vec<Unfinished>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unfinished {
    Draft(Option<u8>, u8),
    Claim(Option<u8>, u32),
}

fn found(is_there: bool) -> Answer {
    if is_there { Answer::Done } else { Answer::Failed(ErrorKind::NotFound) }
}

impl Folder {
    fn take(&mut self, over: Option<u8>, step: Step, listed: &[Unfinished]) -> Answer {
        match step {
            Step::Current => Answer::Content(self.record),
            Step::Write(content) => {
                self.drafts.insert((over, content));
                Answer::Done
            }
            Step::Claim(content, number) => {
                if !self.drafts.contains(&(over, content)) {
                    return Answer::Failed(ErrorKind::NotFound);
                }
                if self.claims.contains_key(&(over, number)) {
                    return Answer::Failed(ErrorKind::AlreadyExists);
                }
                self.claims.insert((over, number), content);
                Answer::Done
            }
            Step::ClaimedBy(number) => match self.claims.get(&(over, number)) {
                Some(content) => Answer::Content(Some(*content)),
                None => Answer::Failed(ErrorKind::NotFound),
            },
            Step::Release(number) => found(self.claims.remove(&(over, number)).is_some()),
            Step::Publish(content) => {
                let is_there = self.drafts.remove(&(over, content));
                if is_there {
                    assert_eq!(self.record, over, "a record that nobody looked at is replaced");
                    self.record = Some(content);
                    assert!(self.published.insert(content), "{content} is published twice");
                }
                found(is_there)
            }
            Step::Discard(content) => found(self.drafts.remove(&(over, content))),
            Step::List => Answer::Listed(self.unfinished()),
            Step::Sweep(current) => {
                for unfinished in listed {
                    match *unfinished {
                        Unfinished::Draft(over, content) if over != current => {
                            self.drafts.remove(&(over, content));
                        }
                        Unfinished::Claim(over, number) if over != current => {
                            self.claims.remove(&(over, number));
                        }
                        Unfinished::Draft(..) | Unfinished::Claim(..) => {}
                    }
                }
                Answer::Done
            }
        }
    }

    fn unfinished(&self) -> Vec<Unfinished> {
        let drafts = self.drafts.iter().map(|key| Unfinished::Draft(key.0, key.1));
        let claims = self.claims.keys().map(|key| Unfinished::Claim(key.0, key.1));
        drafts.chain(claims).collect()
    }
}

/// What one saver or sweeper has done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Life {
    role: Role,
    /// To the steps of its present round.
    answers: Vec<Answer>,
    /// How its earlier rounds have ended.
    said: Vec<Said>,
    is_dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// Saves until it has published, so often at most; its drafts are numbered from the first.
    Saver {
        first: u8,
        rounds: usize,
    },
    Sweeper,
}

/// How a round has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Published,
    Passed,
    NotApplied,
    Unknown,
    Swept,
}

impl Life {
    fn new(role: Role) -> Self {
        Self { role, answers: Vec::new(), said: Vec::new(), is_dead: false }
    }

    fn is_over(&self) -> bool {
        let is_done = self.said.last().is_some_and(|said| *said != Said::Passed);
        let is_tired = match self.role {
            Role::Saver { rounds, .. } => self.said.len() == rounds,
            Role::Sweeper => false,
        };
        self.is_dead || is_done || is_tired
    }

    /// Runs its present round up to the next step, or to its end.
    fn run(&self) -> Result<Said, Asked> {
        let replay =
            Replay { answers: &self.answers, taken: Mutex::default(), over: Mutex::default() };
        let round = u8::try_from(self.said.len()).unwrap();
        let run = AssertUnwindSafe(|| match self.role {
            Role::Saver { first, .. } => replay.save(first + round),
            Role::Sweeper => replay.sweep(),
        });
        panic::catch_unwind(run).map_err(|thrown| match thrown.downcast() {
            Ok(asked) => *asked,
            Err(failed) => panic::resume_unwind(failed),
        })
    }
}

/// How lives go on: many worlds share them.
type Known = HashMap<Life, Result<Said, Asked>>;

/// The step that a life asks for next.
#[derive(Clone, Copy, Debug)]
struct Asked(Option<u8>, Step);

/// Replays a life, up to the first step that was not answered.
struct Replay<'a> {
    answers: &'a [Answer],
    taken: Mutex<usize>,
    over: Mutex<Option<u8>>,
}

impl Replay<'_> {
    fn step(&self, step: Step) -> Answer {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let over = *self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = self.answers.get(*taken) else {
            panic::resume_unwind(Box::new(Asked(over, step)))
        };
        *taken += 1;
        answer.clone()
    }

    fn done(&self, step: Step) -> io::Result<()> {
        match self.step(step) {
            Answer::Done => Ok(()),
            Answer::Failed(kind) => Err(kind.into()),
            Answer::Content(_) | Answer::Listed(_) => unreachable!("no answer to {step:?}"),
        }
    }

    fn save(&self, draft: u8) -> Said {
        let Answer::Content(over) = self.step(Step::Current) else { unreachable!() };
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = over;
        self.done(Step::Write(draft)).unwrap();
        let said = match commit(self, digest(over), digest(Some(draft))) {
            Ok(Ended::Published) => Said::Published,
            Ok(Ended::Passed) => Said::Passed,
            Ok(Ended::Linkless) => unreachable!("every file has two names here"),
            Err(error) => match error.outcome() {
                SaveOutcome::NotApplied => Said::NotApplied,
                SaveOutcome::Unknown => Said::Unknown,
            },
        };
        // The draft goes with its save, however that ended.
        let _ = self.done(Step::Discard(draft));
        said
    }

    fn sweep(&self) -> Said {
        self.step(Step::List);
        let Answer::Content(current) = self.step(Step::Current) else { unreachable!() };
        self.step(Step::Sweep(current));
        Said::Swept
    }
}

impl Steps for Replay<'_> {
    fn current(&self) -> Result<Digest, StoreError> {
        match self.step(Step::Current) {
            Answer::Content(content) => Ok(digest(content)),
            Answer::Failed(kind) => Err(self.failed(kind.into())),
            Answer::Done | Answer::Listed(_) => unreachable!(),
        }
    }

    fn claim(&self, draft: Digest, number: u32) -> io::Result<()> {
        self.done(Step::Claim(content(draft), number))
    }

    fn claimed_by(&self, number: u32) -> io::Result<Digest> {
        match self.step(Step::ClaimedBy(number)) {
            Answer::Content(content) => Ok(digest(content)),
            Answer::Failed(kind) => Err(kind.into()),
            Answer::Done | Answer::Listed(_) => unreachable!(),
        }
    }

    fn release(&self, number: u32) {
        let _ = self.done(Step::Release(number));
    }

    /// In some schedules the other is fast enough, and in some it is not.
    fn wait_for(&self, _draft: Digest) {}

    fn publish(&self, draft: Digest) -> io::Result<()> {
        self.done(Step::Publish(content(draft)))
    }

    fn discard(&self, draft: Digest) -> io::Result<()> {
        self.done(Step::Discard(content(draft)))
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::new(StoreFault::Unavailable, "a step failed").because(error)
    }
}

fn digest(content: Option<u8>) -> Digest {
    content.map_or(Digest::Absent, |content| Digest::Of([content; 16]))
}

fn content(digest: Digest) -> u8 {
    match digest {
        Digest::Of([content, ..]) => content,
        Digest::Absent => unreachable!("no draft is absent"),
    }
}

/// A folder and those who work on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    folder: Folder,
    lives: Vec<Life>,
    /// How many more steps may fail, and how many savers may be killed.
    faults: u8,
    kills: u8,
}

impl World {
    fn new(first: Option<u8>, roles: &[Role]) -> Self {
        let folder = Folder { record: first, ..Folder::default() };
        let lives = roles.iter().map(|role| Life::new(*role)).collect();
        Self { folder, lives, faults: 0, kills: 0 }
    }

    /// All worlds that can be next.
    fn next(&self, known: &mut Known) -> Vec<Self> {
        let mut next = Vec::new();
        for (index, life) in self.lives.iter().enumerate() {
            if life.is_over() {
                continue;
            }
            let Asked(over, step) = match *known.entry(life.clone()).or_insert_with(|| life.run()) {
                Err(asked) => asked,
                // That it ends is seen by nobody, so it does so at once.
                Ok(said) => {
                    let mut world = self.clone();
                    world.lives[index].said.push(said);
                    world.lives[index].answers.clear();
                    return vec![world];
                }
            };
            let mut world = self.clone();
            let listed = life.answers.iter().rev().find_map(|answer| match answer {
                Answer::Listed(listed) => Some(listed.as_slice()),
                Answer::Done | Answer::Content(_) | Answer::Failed(_) => None,
            });
            let answer = world.folder.take(over, step, listed.unwrap_or_default());
            world.lives[index].answers.push(answer);
            next.push(world);
            let is_saver = matches!(life.role, Role::Saver { .. });
            if is_saver && self.kills > 0 {
                let mut world = self.clone();
                world.lives[index].is_dead = true;
                world.kills -= 1;
                next.push(world);
            }
            if is_saver && self.faults > 0 {
                next.extend(self.failed(index, over, step));
            }
        }
        next
    }

    /// The same with a step that fails: one that is not done, and one that is done and whose
    /// answer is lost.
    fn failed(&self, index: usize, over: Option<u8>, step: Step) -> Vec<Self> {
        let lost = match step {
            Step::Claim(..) => Some(ErrorKind::AlreadyExists),
            Step::Publish(_) => Some(ErrorKind::TimedOut),
            // The first look of a save is not part of the commit.
            Step::Current if self.lives[index].answers.is_empty() => return Vec::new(),
            Step::Current => None,
            Step::Write(_)
            | Step::ClaimedBy(_)
            | Step::Release(_)
            | Step::Discard(_)
            | Step::List
            | Step::Sweep(_) => return Vec::new(),
        };
        let mut world = self.clone();
        world.faults -= 1;
        let mut worlds = vec![world.clone()];
        worlds[0].lives[index].answers.push(Answer::Failed(ErrorKind::StorageFull));
        if let Some(lost) = lost {
            world.folder.take(over, step, &[]);
            world.lives[index].answers.push(Answer::Failed(lost));
            worlds.push(world);
        }
        worlds
    }

    /// What must hold when all have ended.
    fn check(&self, known: &mut Known) {
        for life in &self.lives {
            let Role::Saver { first, .. } = life.role else { continue };
            for (draft, said) in (first..).zip(&life.said) {
                let is_published = self.folder.published.contains(&draft);
                let is_honest = match said {
                    Said::Published => is_published,
                    Said::Passed | Said::NotApplied => !is_published,
                    Said::Unknown => true,
                    Said::Swept => unreachable!(),
                };
                assert!(is_honest, "{draft} is {said:?}: {self:#?}");
            }
        }
        // Whoever comes later can save, whatever is left.
        let lives = vec![Life::new(Role::Saver { first: LATER, rounds: 3 })];
        let mut later = Self { lives, faults: 0, kills: 0, ..self.clone() };
        while let Some(world) = later.next(known).pop() {
            later = world;
        }
        let said = later.lives[0].said.last();
        assert_eq!(said, Some(&Said::Published), "a later save fails: {self:#?}");
    }
}

/// Where the drafts of one who comes later begin.
const LATER: u8 = 200;

/// Walks through all worlds that can come of this one.
fn explore(first: World) {
    let mut known = Known::new();
    let mut seen = HashSet::from([first.clone()]);
    let mut left = vec![first];
    while let Some(world) = left.pop() {
        let next = world.next(&mut known);
        if next.is_empty() {
            world.check(&mut known);
        }
        left.extend(next.into_iter().filter(|world| seen.insert(world.clone())));
    }
    // Fewer would mean that the savers do not meet.
    assert!(seen.len() > 1_000, "{} worlds", seen.len());
}

fn savers(rounds: usize) -> [Role; 3] {
    [10, 20, 30].map(|first| Role::Saver { first, rounds })
}

#[test]
fn two_savers_and_a_sweeper_lose_nothing_in_any_schedule() {
    let [one, other, _] = savers(2);
    explore(World::new(Some(1), &[one, other, Role::Sweeper]));
}

#[test]
fn three_savers_lose_nothing_in_any_schedule() {
    for (first, faults) in [(None, 0), (Some(1), 1)] {
        explore(World { faults, ..World::new(first, &savers(1)) });
    }
}

#[test]
fn savers_that_are_killed_and_steps_that_fail_lose_nothing_in_any_schedule() {
    let [one, other, _] = savers(2);
    for (faults, kills) in [(1, 0), (0, 1), (2, 0), (1, 1)] {
        explore(World { faults, kills, ..World::new(Some(1), &[one, other]) });
    }
}
