//! Commands about what an investigator has others do.

use crate::date::Date;
use crate::ids::SiteId;
use crate::text::{Name, Text};
use crate::values::{DelegatedTask, value};

value! {
    /// Give tasks at a site to somebody who works there.
    pub struct GrantDelegation {
        /// A name for the delegation, such as the line of the site's delegation log. No other of the trial may have it.
        pub delegation: Name,
        /// The actor who gets them: the opaque id of their token or account.
        pub delegate: Text,
        /// The site.
        pub site: SiteId,
        /// The tasks; at least one.
        pub tasks: Vec<DelegatedTask>,
        /// The first day (UTC). A day that is past makes nothing right that was refused.
        pub from: Date,
        /// The last day (UTC); left out, it counts until it is ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Date>,
    }

    /// End a delegation, at once.
    pub struct EndDelegation {
        /// The name of the delegation.
        pub delegation: Name,
        /// Why.
        pub reason: Text,
    }
}
