//! With a flaw, the law of the duty is broken, and says how.

/// For each flaw a module, and in it a test for each law that finds it, with a part of what the
/// law then says.
macro_rules! broken {
    ($($module:ident: $flaw:ident { $($law:ident => $says:literal,)+ })+) => {
        $(
            mod $module {
                mod laws {
                    mod token_store {
                        use crate::records::{Flaw, Flawed};

                        $(
                            #[tokio::test(flavor = "multi_thread")]
                            #[should_panic = $says]
                            async fn $law() {
                                let place = Flawed::with(Flaw::$flaw);
                                regrant_storage::laws::token_store::$law(&place).await;
                            }
                        )+
                    }
                }
            }
        )+
    };
}

broken! {
    invents_tombstones: InventsTombstones {
        absent_is_none => "is_none()",
    }
    never_compares: NeverCompares {
        create_needs_absence => "over something else than it expected",
        a_mismatch_gives_what_is_there_and_changes_nothing
            => "over something else than it expected",
        a_tombstone_is_not_resurrected_by_a_stale_writer
            => "over something else than it expected",
        a_new_login_has_a_new_incarnation_and_a_higher_generation
            => "over something else than it expected",
        what_is_readable_is_not_saved_over_as_damaged => "over something else than it expected",
        concurrent_savers_lose_nothing => "saves were lost",
    }
    compares_then_saves: ComparesThenSaves {
        concurrent_savers_lose_nothing => "saves were lost",
    }
    hides_what_is_there: HidesWhatIsThere {
        create_needs_absence => "it was created",
        a_mismatch_gives_what_is_there_and_changes_nothing => "it is there",
    }
    two_versions: TwoVersions {
        save_and_load_tell_the_same_version => "left == right",
    }
    versions_that_recur: VersionsThatRecur {
        save_and_load_tell_the_same_version => "two saves have one version",
        a_record_restored_from_a_backup_is_recognised => "a restored record passes for the newest",
    }
    tombstone_is_absent: TombstoneIsAbsent {
        a_tombstone_is_not_resurrected_by_a_stale_writer
            => "over something else than it expected",
    }
    forgets_lineage: ForgetsLineage {
        a_new_login_has_a_new_incarnation_and_a_higher_generation => "left == right",
    }
    folds_case: FoldsCase {
        accounts_are_isolated => "was there already",
    }
    cuts_tokens: CutsTokens {
        long_tokens_round_trip => "than was saved",
    }
    drops_unknown_fields: DropsUnknownFields {
        unknown_fields_survive => "left == right",
    }
    believes_in_damage: BelievesInDamage {
        what_is_readable_is_not_saved_over_as_damaged => "over something else than it expected",
    }
    torn_by_drop: TornByDrop {
        a_dropped_save_leaves_old_or_new => "was saved, and is not there",
    }
}
