//! What is asked of the running heartbeat, for one group or for all.

use super::Handle;
use crate::{
    deadline::now,
    ha::{
        Role,
        engine::{Condition, Engine, HoldRefusal, Maintenance, Refusal},
    },
};

impl Handle {
    /// Notes that the data plane has this role for a group. The peer hears that this router is active when it is, so that one
    /// that yields does not close before; but it is not kept waiting for longer than half of `dead_after`.
    pub fn applied(&self, group: usize, role: Role) {
        self.applied.send_modify(|roles| {
            if let Some(applied) = roles.get_mut(group) {
                *applied = role;
            }
        });
    }

    /// Takes in what speaks against this router from now on, by the name of a group.
    pub fn set_conditions(&self, condition: impl Fn(&str) -> Condition) {
        for engine in &mut self.shared.lock().engines {
            let condition = condition(&engine.settings().group);
            engine.set_condition(condition, now());
        }
        self.shared.changed.notify_one();
    }

    /// Why this router has its role for a group, and what speaks against it: one sentence.
    #[must_use]
    pub fn explanation(&self, group: usize) -> String {
        self.shared.lock().engines.get(group).map(Engine::explanation).unwrap_or_default()
    }

    /// Notes whether this router has had the connections of the active one and could serve them, by the number of a group: as long
    /// as it could not, it does not ask for its role.
    pub fn set_ready(&self, is_ready: impl Fn(usize) -> bool) {
        let mut core = self.shared.lock();
        core.engines.iter_mut().enumerate().for_each(|(group, engine)| engine.set_ready(is_ready(group)));
    }

    /// Gives the role of a group to the peer, or that of every group that this router is active for; what was begun, in one
    /// line.
    ///
    /// # Errors
    ///
    /// Why no role moves, in one line.
    pub fn failover(&self, group: Option<&str>) -> Result<String, String> {
        let results = self.each(group, |engine| engine.failover(now()));
        let begun = words(results.iter().filter_map(|(name, result)| Some((name, result.as_ref().ok()?))));
        if begun.is_empty() {
            let refusals = results.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?)));
            return Err(words(refusals));
        }
        // Without a name, that a group is not here is no news.
        let refused = results.iter().filter_map(|(name, result)| match result {
            Err(refusal) if *refusal != Refusal::Standby => Some((name, refusal)),
            Ok(_) | Err(_) => None,
        });
        Ok([begun, words(refused)]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect::<Vec<_>>()
            .join("; "))
    }

    /// Holds this router in a role for a group or for all, or releases it; what was done, in one line.
    ///
    /// # Errors
    ///
    /// Why not, in one line; where it was for some groups and not for others, both.
    pub fn hold(&self, group: Option<&str>, maintenance: Option<&Maintenance>) -> Result<String, String> {
        let done = match maintenance {
            Some(held) => format!("this router is {}", held.words()),
            None => "released: nothing is held".to_owned(),
        };
        let results = self.each(group, |engine| engine.hold(maintenance.cloned(), now()));
        let outcome = |result: Result<(), HoldRefusal>| match result {
            Ok(()) => (true, done.clone()),
            Err(refusal) => (false, refusal.to_string()),
        };
        let all: Vec<_> = results.into_iter().map(|(name, result)| (name, outcome(result))).collect();
        let text = words(all.iter().map(|(name, (_, words))| (name, words)));
        if all.iter().all(|(_, (done, _))| *done) { Ok(text) } else { Err(text) }
    }

    /// What the operator holds this router in, by group.
    #[must_use]
    pub fn held(&self) -> Vec<Option<Maintenance>> {
        self.shared.lock().engines.iter().map(|engine| engine.maintenance().cloned()).collect()
    }

    /// Asks one engine or all of them; the answers with the names of their groups.
    fn each<T>(&self, group: Option<&str>, ask: impl Fn(&mut Engine) -> T) -> Vec<(String, T)> {
        let mut core = self.shared.lock();
        let wanted = |engine: &&mut Engine| group.is_none_or(|name| engine.settings().group == name);
        let engines = core.engines.iter_mut().filter(wanted);
        let answers = engines.map(|engine| (engine.settings().group.clone(), ask(engine))).collect();
        drop(core);
        self.shared.changed.notify_one();
        answers
    }
}

/// Answers in one line, each with its group where that has a name.
fn words<'a, T: ToString + 'a>(answers: impl Iterator<Item = (&'a String, T)>) -> String {
    let one = |(group, answer): (&String, T)| match group.as_str() {
        "" => answer.to_string(),
        name => format!("group {name}: {}", answer.to_string()),
    };
    answers.map(one).collect::<Vec<_>>().join("; ")
}
