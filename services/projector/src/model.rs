use trialseal_record::view::{DataView, Overview, ParticipantView, TimelineEntry, View};

/// The read models there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// One document a trial.
    Overview,
    /// One document a participant.
    Participants,
    /// One document an event of a participant.
    Timeline,
    /// One document an item group or imported row, with its history.
    Data,
}

impl Model {
    /// Every model.
    pub const ALL: [Self; 4] = [Self::Overview, Self::Participants, Self::Timeline, Self::Data];

    /// The model's name in the store, in metrics and in commands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => Overview::MODEL,
            Self::Participants => ParticipantView::MODEL,
            Self::Timeline => TimelineEntry::MODEL,
            Self::Data => DataView::MODEL,
        }
    }
}
