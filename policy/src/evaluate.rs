//! One evaluation: three questions to Cedar, one outcome.
//!
//! 1. *Basis*: which steps of the ladder hold? The lowest decides what is needed.
//! 2. *Accept*: if a mechanism is needed and one is on file, does its kind serve?
//! 3. *Export*: does anything speak against it?
//!
//! Cedar names every satisfied permit (1, 2) or every satisfied forbid (3), because each question
//! has a policy set of one effect only: nothing hides behind something else. A policy that fails to
//! evaluate denies under its own id, in whichever question it stands.

mod ladder;

use cedar_policy::{Context, Decision, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Response};
use jiff::civil::Date;

use crate::context;
use crate::decision::{Counters, Effect};
use crate::facts::{Count, Facts, Gathered, MechanismKind, Presence};
use crate::place::Place;
use crate::rules::{Level, RuleId, RuleSet};
use crate::word::words;

pub(crate) use ladder::{Acceptance, Ladder};

words! {
    /// Which border an export crosses.
    pub enum Direction {
        /// Out of the mainland.
        CnOut = "CN-OUT",
        /// Out of Hong Kong.
        HkOut = "HK-OUT",
        /// None.
        Domestic = "DOMESTIC",
        /// Out of a place whose law is not known here.
        Unsupported = "UNSUPPORTED",
    }
}

words! {
    /// What lets an export leave.
    pub enum Needed {
        /// Nothing.
        None = "none",
        /// An exemption of the Provisions, which applies.
        Exempt = "exempt",
        /// A standard contract or a certificate, or more.
        ScOrCert = "sc_or_cert",
        /// A security assessment.
        Sa = "sa",
    }
}

impl Direction {
    /// Position in tables by direction.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The border between the exporter and whoever receives or reads.
    fn of(facts: &Gathered) -> Self {
        let exporter = &facts.exporter.place;
        let recipient = &facts.recipient.place;
        let reader = facts.recipient.accessed_from.place();
        let both = |test: fn(&Place) -> bool| test(recipient) && reader.is_some_and(test);
        if exporter.is_mainland() {
            if both(Place::is_mainland) { Self::Domestic } else { Self::CnOut }
        } else if exporter.is_hong_kong() {
            if both(Place::is_hong_kong) { Self::Domestic } else { Self::HkOut }
        } else {
            Self::Unsupported
        }
    }
}

/// What an evaluation found, without reasons or remedies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The effect.
    pub effect: Effect,
    /// Across which border.
    pub direction: Direction,
    /// The mechanism that is needed.
    pub needed: Needed,
    /// The steps of the ladder that say so.
    pub basis: Vec<RuleId>,
    /// Sorted ids at the winning level; the basis if allowed.
    pub rules: Vec<RuleId>,
    /// The counters if this selection were exported.
    pub counters_after: Counters,
    /// Every policy that says so, sorted by rule: several may bear one id.
    pub(crate) told: Vec<(RuleId, Told)>,
}

/// Who tells the reason for a rule of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// The rule at this position in the set.
    Rule(usize),
    /// The rule at this position failed to evaluate.
    Failed(usize),
    /// No step of the ladder holds.
    NoBasis,
}

/// The id under which a rule set denies whose ladder has no step for the facts.
pub(crate) const NO_BASIS: &str = "NO-BASIS";

/// Evaluates `facts` under `rules`. Pure and total: it cannot fail, it can only deny.
pub fn evaluate(rules: &RuleSet, facts: &Facts) -> Outcome {
    evaluate_parts(rules, facts.gathered(), facts.presence())
}

/// Whether an exporter in `place` is eligible for the GBA contract into Hong Kong.
///
/// A provider whose bytes lie in the Greater Bay Area but who is registered elsewhere is not: the
/// gateway asks this of the registered place, and leaves a `gba_sc` out of the facts if it is false,
/// so that the recorded facts replay to the same answer.
pub fn is_gba_eligible(rules: &RuleSet, place: &Place, today: Date) -> bool {
    let Some(questions) = rules.questions(Direction::CnOut) else {
        return false;
    };
    let mut asked = Asked { rules, today, found: Vec::new() };
    let uid = |name: &EntityTypeName| EntityUid::from_type_name_and_id(name.clone(), EntityId::new(""));
    let who = Parties { principal: uid(&rules.law().names.participant), resource: uid(&rules.law().names.dataset) };
    asked.ask(&who, &rules.law().names.accept, context::accept_gba_from(place), &questions.accept);
    Acceptance::of(rules, &mut asked.found) == Acceptance::Accepted && asked.found.is_empty()
}

/// [`evaluate`] without the columns: only the classes of the selection matter.
pub(crate) fn evaluate_parts(rules: &RuleSet, facts: &Gathered, presence: Presence) -> Outcome {
    let derived = Derived::of(facts, presence);
    let (asked, ladder) = ask_all(rules, facts, &derived);
    asked.outcome(&derived, &ladder, facts)
}

/// [`evaluate`], and what Rust computed for it.
pub(crate) fn look(rules: &RuleSet, facts: &Facts) -> (Outcome, Derived) {
    let derived = Derived::of(facts.gathered(), facts.presence());
    let (asked, ladder) = ask_all(rules, facts.gathered(), &derived);
    (asked.outcome(&derived, &ladder, facts.gathered()), derived)
}

/// Every rule that speaks against the export, whatever its level: also those that a more severe one hides.
pub(crate) fn told(rules: &RuleSet, facts: &Facts) -> Vec<Told> {
    let gathered = facts.gathered();
    let derived = Derived::of(gathered, facts.presence());
    ask_all(rules, gathered, &derived).0.found.into_iter().map(|found| found.told).collect()
}

/// The kinds of mechanism that would serve what `facts` need, as the rules say it.
pub(crate) fn serving(rules: &RuleSet, facts: &Facts) -> Vec<MechanismKind> {
    let (facts, derived) = (facts.gathered(), Derived::of(facts.gathered(), facts.presence()));
    let Some(questions) = rules.questions(derived.direction) else {
        return Vec::new();
    };
    let (who, names) = (Parties::of(rules, facts), &rules.law().names);
    let mut asked = Asked { rules, today: derived.today, found: Vec::new() };
    asked.ask(&who, &names.basis, context::basis(facts, &derived), &questions.basis);
    let ladder = Ladder::first(rules, &mut asked.found);
    let serves = |kind: &MechanismKind| {
        let mut asked = Asked { rules, today: derived.today, found: Vec::new() };
        asked.ask(&who, &names.accept, context::accept(facts, &derived, &ladder, *kind), &questions.accept);
        Acceptance::of(rules, &mut asked.found) == Acceptance::Accepted && asked.found.is_empty()
    };
    MechanismKind::ALL.iter().copied().filter(serves).collect()
}

fn ask_all<'a>(rules: &'a RuleSet, facts: &Gathered, derived: &Derived) -> (Asked<'a>, Ladder) {
    let direction = derived.direction;
    let mut asked = Asked { rules, today: derived.today, found: Vec::new() };
    let Some(questions) = rules.questions(direction) else {
        return (asked, Ladder::default());
    };
    let who = Parties::of(rules, facts);

    let mut ladder = Ladder::default();
    if direction != Direction::Unsupported {
        let context = context::basis(facts, derived);
        asked.ask(&who, &rules.law().names.basis, context, &questions.basis);
        ladder = Ladder::first(rules, &mut asked.found);
        if ladder.basis.is_empty() {
            asked.found.push(Found { level: Effect::Deny, told: Told::NoBasis });
        }
    }

    let mut acceptance = Acceptance::None;
    if let Some(mechanism) = &facts.mechanism
        && !questions.accept.is_empty()
    {
        let context = context::accept(facts, derived, &ladder, mechanism.kind);
        asked.ask(&who, &rules.law().names.accept, context, &questions.accept);
        acceptance = Acceptance::of(rules, &mut asked.found);
    }

    let context = context::export(rules, facts, derived, &ladder, acceptance);
    // Local rules are asked one owner after the other: a set of policies for all of them would have to be put together
    // for each pair of parties, and only these two have a say here. Cloning a context shares it.
    for local in rules.local_export(direction) {
        asked.ask(&who, &rules.law().names.export, context.clone(), local);
    }
    asked.ask(&who, &rules.law().names.export, context, &questions.export);
    if direction == Direction::Unsupported && asked.found.is_empty() {
        asked.found.push(Found { level: Effect::Deny, told: Told::NoBasis });
    }
    (asked, ladder)
}

/// What Rust computes for Cedar.
pub(crate) struct Derived {
    pub direction: Direction,
    pub today: Date,
    pub presence: Presence,
    /// P and Q.
    pub persons: u64,
    pub sensitive: u64,
    /// N and S.
    pub persons_year: u64,
    pub sensitive_year: u64,
}

impl Derived {
    fn of(facts: &Gathered, presence: Presence) -> Self {
        let direction = Direction::of(facts);
        let subjects = facts.dataset.subjects.filter(|_| presence.personal);
        let persons = subjects.map_or(0, |s| s.persons.get());
        let sensitive = subjects.map_or(0, |s| {
            let of_columns = if presence.sensitive { s.sensitive } else { Count::ZERO };
            persons.min(of_columns.get() + s.under_14.get())
        });
        let counters = &facts.exporter.counters;
        Self {
            direction,
            today: facts.now.today(),
            presence,
            persons,
            sensitive,
            // Two counts below 2^53 each: the sums stay below 2^54, which Cedar's integers hold.
            persons_year: counters.persons.get() + persons,
            sensitive_year: counters.sensitive.get() + sensitive,
        }
    }
}

/// A rule that applies, and how hard.
#[derive(Debug, Clone, Copy)]
struct Found {
    level: Effect,
    told: Told,
}

/// Principal and resource of the requests.
struct Parties {
    principal: EntityUid,
    resource: EntityUid,
}

impl Parties {
    fn of(rules: &RuleSet, facts: &Gathered) -> Self {
        let uid = |name: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id));
        Self {
            principal: uid(&rules.law().names.participant, &facts.exporter.id),
            resource: uid(&rules.law().names.dataset, &facts.dataset.id),
        }
    }
}

/// The evaluation so far.
struct Asked<'a> {
    rules: &'a RuleSet,
    today: Date,
    found: Vec<Found>,
}

impl Asked<'_> {
    /// Asks one question. Without a context nothing can be asked, and every rule of it fails.
    fn ask(&mut self, who: &Parties, action: &EntityUid, context: Option<Context>, set: &PolicySet) {
        let request = context.and_then(|context| {
            let (principal, resource) = (who.principal.clone(), who.resource.clone());
            Request::new(principal, action.clone(), resource, context, None).ok()
        });
        let Some(request) = request else {
            for rule in set.policies().filter_map(|policy| self.rules.rule_of(policy.id())) {
                self.found.push(Found { level: Effect::Deny, told: Told::Failed(rule) });
            }
            return;
        };
        let response = {
            let law = self.rules.law();
            law.authorizer.is_authorized(&request, set, &law.entities)
        };
        self.take(&response);
    }

    fn take(&mut self, response: &Response) {
        debug_assert!(response.decision() == Decision::Deny || response.diagnostics().reason().next().is_some());
        for policy in response.diagnostics().reason() {
            if let Some((index, rule)) = self.applicable(policy) {
                let level = match rule {
                    Level::Deny => Effect::Deny,
                    Level::Review => Effect::Review,
                    // Taken out again by the ladder and the acceptance.
                    Level::Basis { .. } | Level::Accept { .. } => Effect::Allow,
                };
                self.found.push(Found { level, told: Told::Rule(index) });
            }
        }
        for cedar_policy::AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            if let Some((index, _)) = self.applicable(error.policy_id()) {
                self.found.push(Found { level: Effect::Deny, told: Told::Failed(index) });
            }
        }
    }

    /// The rule of a policy, if it applies today.
    fn applicable(&self, policy: &cedar_policy::PolicyId) -> Option<(usize, &Level)> {
        let index = self.rules.rule_of(policy)?;
        let rule = self.rules.rule(index)?;
        rule.applies_on(self.today).then_some((index, &rule.level))
    }

    fn outcome(self, derived: &Derived, ladder: &Ladder, facts: &Gathered) -> Outcome {
        let effect = self.found.iter().fold(Effect::Allow, |effect, found| effect.worse(found.level));
        let mut told: Vec<(RuleId, Told)> = if effect == Effect::Allow {
            ladder.basis.iter().cloned().zip(ladder.told_by.iter().copied()).collect()
        } else {
            let winning = self.found.iter().filter(|found| found.level == effect);
            winning.map(|found| (self.id(found.told), found.told)).collect()
        };
        told.sort();
        let mut rules: Vec<RuleId> = told.iter().map(|(id, _)| id.clone()).collect();
        rules.dedup();
        let counters = &facts.exporter.counters;
        let counted = derived.direction == Direction::CnOut && ladder.counted;
        Outcome {
            effect,
            direction: derived.direction,
            needed: ladder.needed,
            basis: ladder.basis.clone(),
            rules,
            counters_after: if counted {
                Counters { persons: derived.persons_year, sensitive: derived.sensitive_year }
            } else {
                Counters { persons: counters.persons.get(), sensitive: counters.sensitive.get() }
            },
            told,
        }
    }

    fn id(&self, told: Told) -> RuleId {
        match told {
            Told::Rule(index) | Told::Failed(index) => {
                self.rules.rule(index).map_or_else(|| RuleId::from(NO_BASIS), |rule| rule.id.clone())
            }
            Told::NoBasis => RuleId::from(NO_BASIS),
        }
    }
}
