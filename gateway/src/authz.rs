//! The authorisation matrix of DESIGN.md as data: which role may do what, and within which scope.
//!
//! Scope says *whose* things an action may touch; the handler asks [`Scope::covers`]. What is outside the scope is 404,
//! what the role may never do is 403.

use catalog::{ParticipantId, Role};
use gateway_api::{Code, Problem};

use crate::identity::Principal;

/// Everything a principal can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Search and show datasets.
    Browse,
    /// Plan, accept an offer, pull.
    Consume,
    /// See leases.
    ReadLeases,
    /// See statements.
    ReadStatements,
    /// Register, upload, submit, publish, withdraw.
    Register,
    /// One leaf or its proof.
    ReadLeaf,
    /// Search the log.
    SearchLog,
    /// Tiles, entries and checkpoints of the whole log.
    ReadLog,
    /// Checkpoints and hash tiles.
    ReadTiles,
    /// Approve a version; confirm mechanisms, exemptions, baselines.
    Approve,
    /// Add a mechanism.
    AddMechanism,
    /// See mechanisms.
    ReadMechanisms,
    /// Ask for a review; take the request back.
    RequestReview,
    /// See reviews.
    ReadReviews,
    /// Release or refuse a review; take a release back.
    ReleaseReview,
    /// Cut a lease, suspend a participant or dataset.
    Cut,
    /// Lift a suspension; add an authority or a compliance role; give a credit note. Two officers.
    Restore,
    /// Participants, trust.
    Operate,
    /// See participants.
    ReadParticipants,
    /// File a claim on an incentive programme.
    FileClaim,
    /// See rule sets: the law, those that reach over everybody, and one's own.
    ReadRules,
    /// Propose rules of one's own participant, and take a proposal back.
    ProposeRules,
    /// Put a rule set into force, or take it out. Two officers.
    ActivateRules,
    /// Propose a rate of exchange. An authority's officer confirms it.
    ProposeRate,
    /// Say that an agreement was paid, and what shows it.
    RecordPayment,
    /// Bring the signed baseline of a year.
    DeclareBaseline,
    /// See whom a year's exports concern.
    ReadCounters,
    /// Erase a person. Two officers.
    Erase,
    /// Open what an entry commits to, for an auditor.
    Disclose,
    /// Put a legal hold on something, or lift it. Two officers.
    Hold,
    /// See how much is stored, and what is due to be deleted.
    ReadStore,
    /// Delete what is past its time.
    Retain,
}

/// Whose things an action may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    Everything,
    /// Those of, or visible to, this participant.
    Participant(ParticipantId),
}

impl Scope {
    /// Whether things of `participant` are in scope.
    pub fn covers(&self, participant: &ParticipantId) -> bool {
        match self {
            Self::Everything => true,
            Self::Participant(own) => own == participant,
        }
    }

    /// Whether things of any of `participants` are in scope.
    pub fn covers_any<'a>(&self, participants: impl IntoIterator<Item = &'a ParticipantId>) -> bool {
        participants.into_iter().any(|participant| self.covers(participant))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Own,
    All,
}

/// One cell of the matrix; `None` is never.
#[expect(clippy::match_same_arms, reason = "the arms are rows of the matrix, each with its reason")]
const fn cell(action: Action, role: Role, authority: bool) -> Option<Reach> {
    use Action as A;
    use Role as R;
    match (action, role) {
        // An authority's compliance officers see and supervise everything.
        (
            A::Browse
            | A::ReadLeases
            | A::ReadStatements
            | A::ReadLeaf
            | A::SearchLog
            | A::ReadMechanisms
            | A::ReadReviews
            | A::ReadParticipants
            | A::Cut
            | A::AddMechanism
            | A::ReadRules
            | A::ProposeRules
            | A::DeclareBaseline
            | A::ReadCounters
            | A::Erase,
            R::Compliance,
        ) => Some(if authority { Reach::All } else { Reach::Own }),
        (
            A::ReadLog
            | A::ReadTiles
            | A::Approve
            | A::ReleaseReview
            | A::Restore
            | A::ActivateRules
            | A::ProposeRate
            | A::Disclose
            | A::Hold
            | A::ReadStore
            | A::Retain,
            R::Compliance,
        ) if authority => Some(Reach::All),
        // Whoever is bound by rules may read them.
        (A::ReadRules, R::Researcher | R::Compute | R::Broker | R::Operator | R::Witness) => Some(Reach::Own),
        (A::FileClaim, R::Researcher | R::Compute | R::Broker)
        | (A::Browse | A::Consume | A::RequestReview | A::ReadLeases, R::Researcher | R::Compute)
        | (
            A::Browse | A::Register | A::ReadLeases | A::AddMechanism | A::DeclareBaseline | A::ReadCounters,
            R::Broker,
        ) => Some(Reach::Own),
        // Who sells says what came in, and proposes rates; what an officer has to confirm is no favour to itself.
        (A::RecordPayment | A::ProposeRate, R::Broker) => Some(Reach::Own),
        // Every principal of a party.
        (
            A::ReadStatements | A::ReadLeaf | A::ReadMechanisms | A::ReadReviews,
            R::Researcher | R::Compute | R::Broker,
        ) => Some(Reach::Own),
        // The node, never data, never the log's contents.
        (A::Operate | A::ReadParticipants | A::DeclareBaseline | A::ReadStore | A::Retain, R::Operator) => {
            Some(Reach::All)
        }
        (A::ReadParticipants, R::Researcher | R::Compute | R::Broker) => Some(Reach::Own),
        (A::ReadTiles, R::Witness) => Some(Reach::All),
        _ => None,
    }
}

/// Whether `principal` may do `action`, and within which scope.
///
/// # Errors
/// 403 `forbidden`, naming the role it has.
pub fn authorise(principal: &Principal, action: Action) -> Result<Scope, Problem> {
    match cell(action, principal.role, principal.authority) {
        Some(Reach::All) => Ok(Scope::Everything),
        Some(Reach::Own) => Ok(Scope::Participant(principal.participant.clone())),
        None => Err(Problem::new(
            Code::Forbidden,
            format!(
                "a `{}` of `{}` may not {}: {}",
                principal.role.as_str(),
                principal.participant,
                words(action),
                who(action)
            ),
        )),
    }
}

const fn words(action: Action) -> &'static str {
    match action {
        Action::Browse => "search or show datasets",
        Action::Consume => "plan, accept an offer or pull",
        Action::ReadLeases => "read leases",
        Action::ReadStatements => "read statements",
        Action::Register => "register, upload, submit, publish or withdraw",
        Action::ReadLeaf => "read a leaf or its proof",
        Action::SearchLog => "search the log",
        Action::ReadLog => "read the log's entries",
        Action::ReadTiles => "read checkpoints and tiles",
        Action::Approve => "approve or confirm",
        Action::AddMechanism => "add a mechanism",
        Action::ReadMechanisms => "read mechanisms",
        Action::RequestReview => "ask for a review",
        Action::ReadReviews => "read reviews",
        Action::ReleaseReview => "release or refuse a review",
        Action::Cut => "cut a lease or suspend",
        Action::Restore => "lift a suspension, add powers or give a credit note",
        Action::Operate => "change participants or trust",
        Action::ReadParticipants => "read participants",
        Action::FileClaim => "file a claim",
        Action::ReadRules => "read rule sets",
        Action::ProposeRules => "propose rules",
        Action::ActivateRules => "put rules into force or take them out",
        Action::ProposeRate => "propose a rate of exchange",
        Action::RecordPayment => "record a payment",
        Action::DeclareBaseline => "bring a baseline",
        Action::ReadCounters => "read counters",
        Action::Erase => "erase a person",
        Action::Disclose => "open what an entry commits to",
        Action::Hold => "put or lift a legal hold",
        Action::ReadStore => "see what is stored",
        Action::Retain => "delete what is past its time",
    }
}

const fn who(action: Action) -> &'static str {
    match action {
        Action::Consume | Action::RequestReview => "a researcher or compute principal does",
        Action::Register => "a broker does",
        Action::RecordPayment => "the agreement's broker does",
        Action::ProposeRate => "a broker or a compliance officer of an authority does",
        Action::Approve | Action::ReleaseReview | Action::ReadLog | Action::Disclose => {
            "a compliance officer of an authority does"
        }
        Action::Restore | Action::ActivateRules | Action::Hold => "two compliance officers of an authority do",
        Action::SearchLog | Action::Cut | Action::ProposeRules => "a compliance officer does",
        Action::DeclareBaseline => "a broker, compliance officer or operator does",
        Action::ReadCounters => "the provider's broker or compliance officer, or an authority's, does",
        Action::Operate => "an operator does",
        Action::Erase => "two compliance officers, of an authority or the person's own participant, do",
        Action::ReadStore | Action::Retain => "an operator or an authority's compliance officer does",
        Action::FileClaim => "the broker or the buyer does",
        Action::ReadTiles => "a witness or an authority's compliance officer does",
        Action::Browse
        | Action::ReadLeases
        | Action::ReadStatements
        | Action::ReadLeaf
        | Action::AddMechanism
        | Action::ReadMechanisms
        | Action::ReadReviews
        | Action::ReadRules
        | Action::ReadParticipants => "an operator's or witness's certificate is not for this",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [Action; 32] = [
        Action::Browse,
        Action::Consume,
        Action::ReadLeases,
        Action::ReadStatements,
        Action::Register,
        Action::ReadLeaf,
        Action::SearchLog,
        Action::ReadLog,
        Action::ReadTiles,
        Action::Approve,
        Action::AddMechanism,
        Action::ReadMechanisms,
        Action::Cut,
        Action::Restore,
        Action::Operate,
        Action::ReadParticipants,
        Action::RequestReview,
        Action::ReadReviews,
        Action::ReleaseReview,
        Action::FileClaim,
        Action::ReadRules,
        Action::ProposeRules,
        Action::ActivateRules,
        Action::DeclareBaseline,
        Action::ReadCounters,
        Action::ProposeRate,
        Action::RecordPayment,
        Action::Erase,
        Action::Disclose,
        Action::Hold,
        Action::ReadStore,
        Action::Retain,
    ];

    /// The matrix written out again, cell by cell, in the order of `ACTIONS`: `-` never, `o` own, `*` everything.
    #[test]
    fn every_cell() {
        for (role, authority, want) in [
            (Role::Researcher, false, "oooo-o-----o---ooo-oo-----------"),
            (Role::Compute, false, "oooo-o-----o---ooo-oo-----------"),
            (Role::Broker, false, "o-oooo----oo---o-o-oo--oooo-----"),
            (Role::Compliance, false, "o-oo-oo---ooo--o-o--oo-oo--o----"),
            (Role::Compliance, true, "*-**-*********-*-**-******-*****"),
            (Role::Operator, false, "--------------**----o--*------**"),
            (Role::Witness, false, "--------*-----------o-----------"),
            // An authority's other roles have no more than anybody's.
            (Role::Researcher, true, "oooo-o-----o---ooo-oo-----------"),
            (Role::Compute, true, "oooo-o-----o---ooo-oo-----------"),
            (Role::Broker, true, "o-oooo----oo---o-o-oo--oooo-----"),
            (Role::Operator, true, "--------------**----o--*------**"),
            (Role::Witness, true, "--------*-----------o-----------"),
        ] {
            let got: String = ACTIONS
                .into_iter()
                .map(|action| match cell(action, role, authority) {
                    None => '-',
                    Some(Reach::Own) => 'o',
                    Some(Reach::All) => '*',
                })
                .collect();
            assert_eq!(got, want, "{role:?}, authority: {authority}");
        }
    }
}
