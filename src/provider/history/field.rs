//! What a row of a charge history may say.

/// One thing that a row, a line of JSON or a pushed record may say of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// What makes a charge the same charge however often it is read.
    ChargeId,
    /// When the task was launched and the credits left.
    At,
    /// Credits taken, zero or more.
    Credits,
    /// The platform's word for the kind of task.
    TaskType,
    /// How the task stands: `succeeded`, `failed`, `refunded` (failed, and all of it came back), `cancelled`, `expired`,
    /// `queued`, `running` or `unknown`.
    Outcome,
    /// The team, where the row names one.
    Team,
    /// The platform's word for quality or model.
    Quality,
    /// How many variants were made.
    Variants,
    /// Credits that came back.
    RefundedCredits,
    /// The project.
    Project,
    /// The member who launched it.
    Member,
    /// The name of the API key, never the key.
    ApiKey,
    /// The name of the asset that the task works on. Kept as a salted fingerprint only.
    Asset,
    /// What was asked for, such as a prompt. Kept as a salted fingerprint only.
    Input,
    /// When work began.
    StartedAt,
    /// When the task became final.
    FinishedAt,
    /// Whether the task continues an earlier one: progress, never a retry.
    IsStep,
    /// `rerun` or `resubmission`, where the history says so itself.
    Retry,
    /// Whether the row is a sum of many tasks, such as a day's use.
    IsSum,
    /// Whether the credits come from a table of prices.
    IsEstimated,
}

impl Field {
    /// Every field, in the order in which an export writes them; the two that are never exported come last.
    pub const ALL: [Field; 20] = [
        Field::Team,
        Field::ChargeId,
        Field::At,
        Field::Credits,
        Field::TaskType,
        Field::Quality,
        Field::Variants,
        Field::Outcome,
        Field::RefundedCredits,
        Field::Project,
        Field::Member,
        Field::ApiKey,
        Field::StartedAt,
        Field::FinishedAt,
        Field::IsStep,
        Field::Retry,
        Field::IsSum,
        Field::IsEstimated,
        Field::Asset,
        Field::Input,
    ];

    /// Fields without which there is no charge.
    pub const NEEDED: [Field; 5] = [Field::ChargeId, Field::At, Field::Credits, Field::TaskType, Field::Outcome];

    /// The name of its column, and of its key in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Field::ChargeId => "charge_id",
            Field::At => "at",
            Field::Credits => "credits",
            Field::TaskType => "task_type",
            Field::Outcome => "outcome",
            Field::Team => "team",
            Field::Quality => "quality",
            Field::Variants => "variants",
            Field::RefundedCredits => "refunded_credits",
            Field::Project => "project",
            Field::Member => "member",
            Field::ApiKey => "api_key",
            Field::Asset => "asset",
            Field::Input => "input",
            Field::StartedAt => "started_at",
            Field::FinishedAt => "finished_at",
            Field::IsStep => "is_step",
            Field::Retry => "retry",
            Field::IsSum => "is_sum",
            Field::IsEstimated => "is_estimated",
        }
    }

    /// What mappings call the same thing, where that differs: understood as well.
    pub const fn other_name(self) -> Option<&'static str> {
        match self {
            Field::ChargeId => Some("id"),
            Field::At => Some("created_at"),
            Field::Outcome => Some("state"),
            Field::RefundedCredits => Some("refunded"),
            _ => None,
        }
    }

    /// The field of that name, whichever of the two.
    pub fn parse(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name || field.other_name() == Some(name))
    }

    /// Whether a moment stands there.
    pub(super) const fn is_time(self) -> bool {
        matches!(self, Field::At | Field::StartedAt | Field::FinishedAt)
    }

    /// Whether credits stand there.
    pub(super) const fn is_amount(self) -> bool {
        matches!(self, Field::Credits | Field::RefundedCredits)
    }

    /// The field's place in a table of all of them.
    pub(super) const fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_one_place_and_two_names_at_most() {
        let mut places: Vec<usize> = Field::ALL.iter().map(|field| field.place()).collect();
        places.sort_unstable();
        assert_eq!(places, (0..Field::ALL.len()).collect::<Vec<_>>());
        for field in Field::ALL {
            assert_eq!(Field::parse(field.name()), Some(field));
            assert!(field.other_name().is_none_or(|name| Field::parse(name) == Some(field)));
        }
        assert_eq!(Field::parse("prompt"), None);
    }
}
