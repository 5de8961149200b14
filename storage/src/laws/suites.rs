//! The suites: each law, by its name, as a test.

/// One test for each law of [`blob_store`](crate::laws::blob_store): the attributes of a test, and
/// an expression that makes a fresh [`BlobPlace`](crate::laws::BlobPlace). See
/// [`laws`](crate::laws).
#[macro_export]
macro_rules! blob_store_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_as_tests! {
            blob_store [$(#[$attribute])+] [$place]
            absent_is_none
            create_needs_absence
            a_save_raises_nothing_by_itself
            a_mismatch_says_what_is_there_and_changes_nothing
            of_concurrent_creators_one_wins
            concurrent_savers_lose_nothing
            a_tombstone_is_not_resurrected_by_a_stale_writer
            accounts_are_isolated
            large_records_round_trip
            a_dropped_save_leaves_old_or_new
            list_names_every_account_and_not_the_data_key
            a_list_is_complete_while_others_write
            what_was_saved_is_there_after_reopening
            two_handles_see_each_others_saves
            replace_leaves_what_is_readable_alone
            what_is_set_aside_is_out_of_the_way
            capabilities_name_the_same_place
        }
    };
}

/// One test for each law of [`lease`](crate::laws::lease): the attributes of a test, and an
/// expression that makes a fresh [`LeasePlace`](crate::laws::LeasePlace). See
/// [`laws`](crate::laws).
#[macro_export]
macro_rules! lease_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_as_tests! {
            lease [$(#[$attribute])+] [$place]
            one_holder_at_a_time
            busy_names_its_holder
            a_released_lease_can_be_taken
            a_dropped_lease_can_be_taken
            a_dropped_try_holds_nothing
            a_renewed_lease_is_still_held
            accounts_have_leases_of_their_own
        }
    };
}

/// One test for each law of [`token_store`](crate::laws::token_store): the attributes of a test,
/// and an expression that makes a fresh [`TokenPlace`](crate::laws::TokenPlace). See
/// [`laws`](crate::laws).
#[macro_export]
macro_rules! token_store_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_as_tests! {
            token_store [$(#[$attribute])+] [$place]
            absent_is_none
            create_needs_absence
            save_and_load_tell_the_same_version
            a_mismatch_gives_what_is_there_and_changes_nothing
            a_tombstone_is_not_resurrected_by_a_stale_writer
            a_new_login_has_a_new_incarnation_and_a_higher_generation
            a_record_restored_from_a_backup_is_recognised
            accounts_are_isolated
            long_tokens_round_trip
            unknown_fields_survive
            what_is_readable_is_not_saved_over_as_damaged
            a_dropped_save_leaves_old_or_new
            concurrent_savers_lose_nothing
        }
    };
}

/// One test for each law of [`processes`](crate::laws::processes): the attributes of a test, and
/// an expression that makes a fresh place that is both a [`BlobPlace`](crate::laws::BlobPlace) and
/// a [`ProcessPlace`](crate::laws::ProcessPlace). One more test, `child_of_a_law`, is what the
/// processes run. See [`laws`](crate::laws).
#[macro_export]
macro_rules! process_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_of_processes_as_tests! {
            processes [$(#[$attribute])+] [$place]
            of_fifty_processes_that_create_one_name_one_wins
            fifty_processes_that_save_lose_nothing
            readers_see_no_gap_and_nothing_older
            lists_are_complete_while_processes_write
            an_acknowledged_save_survives_a_kill
            a_kill_at_first_use_stops_nobody
            a_kill_at_any_system_call_of_a_save_leaves_old_or_new
            a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all
            a_full_disk_is_told_and_leaves_what_it_says
        }
    };
}

/// One test for each law of [`lease_processes`](crate::laws::lease_processes): the attributes of a
/// test, and an expression that makes a fresh place that is both a
/// [`LeasePlace`](crate::laws::LeasePlace) and a [`ProcessPlace`](crate::laws::ProcessPlace). One
/// more test, `child_of_a_law`, is what the processes run. See [`laws`](crate::laws).
#[macro_export]
macro_rules! lease_process_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_of_processes_as_tests! {
            lease_processes [$(#[$attribute])+] [$place]
            of_fifty_processes_one_holds_at_a_time
            a_killed_holder_is_succeeded_at_once
            a_stopped_holder_is_waited_for_and_named
            a_child_of_the_holder_inherits_no_lease
            a_place_that_cannot_be_locked_is_not_busy
            a_place_that_cannot_be_written_is_read_only
        }
    };
}

/// Not to be called by name.
#[doc(hidden)]
#[macro_export]
macro_rules! laws_as_tests {
    (@one $suite:ident [$(#[$attribute:meta])+] [$place:expr] $law:ident) => {
        $(#[$attribute])+
        async fn $law() {
            let place = $place;
            $crate::laws::$suite::$law(&place).await;
        }
    };
    ($suite:ident $attributes:tt $place:tt $($law:ident)+) => {
        $($crate::laws_as_tests! { @one $suite $attributes $place $law })+
    };
}

/// Not to be called by name.
#[doc(hidden)]
#[macro_export]
macro_rules! laws_of_processes_as_tests {
    (@one $suite:ident [$(#[$attribute:meta])+] [$place:expr] $law:ident) => {
        $(#[$attribute])+
        async fn $law() {
            let host = $crate::laws::Host::new(|| Box::pin(async { $place }), module_path!());
            $crate::laws::$suite::$law(&host).await;
        }
    };
    (@child $suite:ident [$(#[$attribute:meta])+] [$place:expr]) => {
        $(#[$attribute])+
        async fn child_of_a_law() {
            $crate::laws::$suite::child_of_a_law(|| Box::pin(async { $place })).await;
        }
    };
    ($suite:ident $attributes:tt $place:tt $($law:ident)+) => {
        $($crate::laws_of_processes_as_tests! { @one $suite $attributes $place $law })+
        $crate::laws_of_processes_as_tests! { @child $suite $attributes $place }
    };
}
