//! What every engine must do, as checks that each run on a fresh, empty ledger.
//!
//! An engine's test file calls [`contract_tests!`](crate::contract_tests), which makes one test of each check. A check
//! is added by writing it in its module and naming it in the list below.

#![expect(clippy::missing_panics_doc, reason = "a check says that it failed by panicking")]
#![expect(clippy::unwrap_used, reason = "a check says that it failed by panicking")]

mod accounts;
mod appends;
mod election;
mod events;
mod fixture;
mod isolation;
mod models;
mod registry;
mod seals;

use std::sync::Arc;

use crate::Store;

pub use accounts::*;
pub use appends::*;
pub use election::*;
pub use events::*;
pub use isolation::*;
pub use models::*;
pub use registry::*;
pub use seals::*;

/// The one list of all checks; hands it to the macro of this crate that is named.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_list {
    ($then:ident, $with:expr) => {
        $crate::$then! { $with;
            a_new_ledger_is_empty
            what_is_appended_is_read_back
            an_append_reads_what_it_rests_on
            many_rows_go_into_one_append
            a_position_is_taken_once
            a_place_in_a_trial_is_taken_once
            a_place_in_a_stream_is_taken_once
            a_command_is_recorded_once
            a_natural_key_is_taken_once
            a_number_beyond_the_columns_is_refused
            appends_wait_for_each_other
            a_seal_and_an_append_wait_for_each_other
            a_dropped_append_leaves_nothing
            a_dropped_seal_leaves_nothing
            a_cancelled_append_is_all_or_nothing
            a_cancelled_wait_holds_nothing
            resealed_bodies_are_read_instead_and_the_record_stays
            readers_see_committed_rows_without_waiting
            readers_see_no_gaps_while_others_append
            a_term_is_had_by_one_process
            a_term_that_runs_out_can_be_taken
            a_term_that_was_given_up_can_be_taken
            one_of_many_that_stand_at_once_is_elected
            none_but_the_elected_writes
            a_takeover_waits_for_an_append
            an_append_behind_a_takeover_is_refused
            events_are_read_by_position
            events_are_read_by_trial_and_by_stream
            a_page_of_events_ends_with_its_bytes
            trials_are_listed_by_id
            a_seal_is_read_back_and_moves_the_head
            a_seal_is_recorded_once
            sealed_heads_are_those_of_their_seal
            the_first_seal_that_covers_an_event_is_found
            nodes_are_read_in_ranges
            parts_of_many_trees_are_read_together
            the_first_checkpoint_of_a_size_stays
            the_first_note_of_a_size_stays
            notes_are_found_around_sizes_without_one
            the_first_timestamp_of_a_size_stays_and_is_found
            one_of_many_concurrent_checkpoints_wins
            generations_follow_each_other
            documents_are_read_back
            documents_are_listed_in_byte_order
            a_page_of_documents_ends_with_its_bytes
            a_checkpoint_moves_with_its_documents
            a_dropped_fold_leaves_nothing
            a_fold_from_elsewhere_is_overtaken
            activating_drops_the_other_generations
            what_readers_use_stays_until_another_has_come_as_far
            jobs_are_replaced_and_listed_while_open
            tokens_are_kept_until_revoked
            accounts_have_one_name_and_one_subject
            an_invitation_is_taken_up_once
            sessions_end
            a_passkey_belongs_to_one_account
            an_invitation_ends_what_was_logged_in_by
            a_withdrawn_account_has_no_sessions
            one_of_many_first_administrators_is_made
            no_data_key_lies_in_a_new_ledger
        }
    };
}

/// Makes a test of each check. `$with` is an async function that makes an empty ledger, runs the check that it is given
/// on it, and cleans up: `async fn with<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn Store>) -> F)`.
#[macro_export]
macro_rules! contract_tests {
    ($with:path) => {
        $crate::contract_list! { contract_test_each, $with }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_test_each {
    ($with:expr; $($check:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                ($with)($crate::contract::$check).await;
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_run_each {
    ($make:expr; $($check:ident)*) => {
        $( $check(($make)().await).await; )*
    };
}

/// Runs all checks one after another, each on an empty ledger of its own that `make` opens.
pub async fn run_all<F, M>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Store>>,
{
    crate::contract_list! { contract_run_each, make }
}
