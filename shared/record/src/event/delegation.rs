//! Events of what an investigator has others do. In the trial's stream.

use crate::date::Date;
use crate::ids::SiteId;
use crate::text::{Name, Text};
use crate::values::{DelegatedTask, value};

value! {
    /// An investigator gave tasks at a site to somebody who works there.
    pub struct DelegationGranted {
        /// Names the delegation, such as by the line of the site's delegation log.
        pub delegation: Name,
        /// Opaque stable id of who gets them, as it stands in the headers of what they record.
        pub delegate: Text,
        /// The site.
        pub site: SiteId,
        /// The tasks.
        pub tasks: Vec<DelegatedTask>,
        /// The first day (UTC).
        pub from: Date,
        /// The last day (UTC), where one is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Date>,
    }

    /// A delegation has ended, at once.
    pub struct DelegationEnded {
        /// The delegation.
        pub delegation: Name,
        /// Why.
        pub reason: Text,
    }
}

impl DelegationGranted {
    /// Whether `day` is one of its days, the first and the last among them. It does not count before it was recorded, nor
    /// after it was ended, whatever its days are.
    pub fn is_dated(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|last| day <= last)
    }
}
