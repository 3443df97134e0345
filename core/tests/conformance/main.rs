//! One suite of stories, run on both databases, encrypted and (on the one that most towns have) not. A story begins with a database of its own, migrated and empty.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that cannot go on fails at that line"
)]

/// A statement of a story, for whichever database it runs on.
macro_rules! on {
    (Store, $store:expr, $db:ident => $body:expr) => {
        match $store {
            voxea_core::store::Store::Sqlite(pools) => {
                let $db = &pools.read;
                $body
            }
            voxea_core::store::Store::Postgres(pool) => {
                let $db = pool;
                $body
            }
        }
    };
    (Tx, $tx:expr, $db:ident => $body:expr) => {
        match $tx {
            voxea_core::store::Tx::Sqlite(inner) => {
                let $db = &mut **inner;
                $body
            }
            voxea_core::store::Tx::Postgres(inner) => {
                let $db = &mut **inner;
                $body
            }
        }
    };
}

mod acknowledging;
mod agents;
mod audit;
mod calls;
mod catalogue;
mod citizens;
mod commands;
mod consumers;
mod control;
mod dedup;
mod documents;
mod external;
mod fencing;
mod joining;
mod mailboxes;
mod moving;
mod objects;
mod outgoing;
mod parts;
mod place;
mod poison;
mod positions;
mod postgres;
mod queueing;
mod reading;
mod redelivery;
mod replacing;
mod rights;
mod texting;
mod threading;
mod undeliverable;
mod vault;
mod webhooks;

macro_rules! stories {
    ($($module:ident { $($story:ident,)* })*) => {
        stories! { on_sqlite: sqlite, Plain; $($module { $($story,)* })* }
        stories! { on_sqlite_sealed: sqlite, Sealed; $($module { $($story,)* })* }
        stories! { on_postgres: postgres, Sealed; $($module { $($story,)* })* }
    };
    ($name:ident: $database:ident, $mode:ident; $($module:ident { $($story:ident,)* })*) => {
        mod $name {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let place = crate::place::Place::$database(crate::place::Mode::$mode).await;
                    crate::place::in_time(crate::$module::$story(&place)).await;
                }
            )* })*
        }
    };
}

stories! {
    acknowledging { only_what_opens_a_request_is_acknowledged, the_breakers_hold_and_last, }
    agents {
        roles_are_shipped_and_change_what_their_holders_may, an_agent_changes_from_the_version_that_was_read,
        a_weak_password_says_what_it_lacks, failures_are_slowed_whoever_is_meant, of_many_tries_at_once_three_count,
        a_session_ends_in_every_way, a_code_serves_once, a_password_is_changed_by_who_knows_it,
        an_identity_provider_proves_one_agent, a_program_is_known_by_issuer_and_subject,
    }
    audit {
        sixteen_at_once_make_one_chain, doors_that_append_do_not_block_each_other, whatever_is_done_to_it_is_named, old_rows_go_up_to_a_checkpoint,
        changes_are_entered_with_what_they_change, a_trail_that_cannot_be_written_refuses_reads,
    }
    calls {
        many_calls_end_at_once,
        an_erased_recording_has_no_key,
        a_recording_goes_when_its_time_is_over,
    }
    catalogue {
        it_is_shipped_once, a_change_names_the_version_it_was_made_from, thirty_two_writers_lose_nothing, one_word_cannot_choose_two,
        a_service_tells_of_its_themes, an_import_switches_off_what_it_lacks, what_comes_in_has_its_theme,
        a_request_takes_only_a_theme_in_use, a_caller_chooses_a_theme, a_move_says_how_long_the_state_lasted,
    }
    citizens {
        a_sender_is_the_one_citizen_who_has_the_address, a_batch_of_known_and_unknown_senders_is_linked_right, one_key_makes_one_citizen,
        an_address_is_once_with_a_citizen_and_often_among_them, earlier_requests_are_given_once_it_is_clear_whose_they_are,
        no_request_is_missed_while_an_address_is_added, a_person_decides_whose_a_request_is, a_change_names_its_version,
        a_stop_counts_for_an_address_of_nobody, one_that_was_merged_is_left_alone, citizens_are_listed_in_commit_order,
    }
    commands {
        a_stop_is_one_opt_out_and_is_confirmed_once, each_command_is_answered_for_itself, a_stop_that_comes_again_is_answered_once, a_stop_counts_though_it_may_be_a_repetition,
        a_stop_may_come_in_parts, a_request_by_text_is_acknowledged_once_and_never_after_a_stop,
        a_start_ends_a_stop_until_the_next,
    }
    consumers {
        what_is_not_acknowledged_comes_again, a_change_takes_the_batch_back, it_is_its_owner_s_and_may_be_handed_over,
        of_many_workers_one_has_the_batch,
    }
    control {
        a_pause_is_entered_once_whatever_comes_twice, what_is_no_recording_yet_is_not_paused, who_stopped_it_is_said,
        what_was_discarded_leaves_nothing,
    }
    dedup { a_contact_keeps_all_it_brought, one_known_key_makes_it_known, sixty_four_at_once_make_one, two_nodes_at_once_make_one, }
    documents { a_document_joins_the_request_of_its_code, a_file_that_is_known_need_not_be_read, }
    external {
        an_id_makes_one_request_however_often_it_comes, of_many_nodes_at_once_one_makes_it, both_sides_tell_where_it_stands,
        an_id_and_a_request_belong_together_for_good, an_id_that_was_attached_brings_nothing_in, who_does_not_reach_it_tells_nothing,
    }
    fencing { a_stale_epoch_writes_nothing, an_account_nobody_entered_is_fenced, }
    joining {
        texts_of_a_day_share_a_request, texts_of_one_batch_share_a_request, a_keyword_stands_alone, a_reference_counts_for_its_own_citizen,
        a_request_that_is_over_takes_nothing_in, an_answer_finds_its_thread, a_named_id_leads_nobody_else, the_same_mail_in_two_mailboxes,
        versions_and_events_tell_of_every_join, an_answer_to_a_question_joins_for_three_days,
    }
    mailboxes {
        a_place_is_saved_with_its_gaps, attempts_are_counted_until_their_mail_is_settled, failures_of_a_fetch_outlast_the_cursor,
        what_could_not_be_processed_is_counted_and_listed,
    }
    moving {
        a_contact_becomes_a_request_of_its_own, a_contact_joins_the_request_that_it_belongs_to, answers_follow_a_mail_that_was_moved,
        of_many_moves_from_one_version_one_is_made,
    }
    objects {
        a_recording_is_moved_when_it_is_closed, an_interruption_at_any_moment_leaves_one_object,
        content_is_moved_and_read_and_may_come_again, what_is_erased_is_erased_there_too,
    }
    outgoing {
        a_text_goes_out_and_its_receipt_settles_it, a_receipt_may_come_before_its_response, many_leasers_share_without_overlap, each_connection_holds_its_own_leases, a_phone_that_is_back_is_tried_at_once, a_text_whose_channel_died_is_unknown_and_a_mail_is_due_again, nobody_overtakes_an_earlier_text_to_the_same_number, what_cannot_be_sent_is_refused_with_the_reason, a_patch_needs_the_version_it_was_made_from, of_many_patches_from_one_version_one_wins, a_list_pages_in_commit_order,
    }
    parts {
        every_order_makes_one_text, a_reference_that_is_reused_begins_another, parts_of_a_text_come_again, what_came_is_delivered_in_the_end,
        a_pair_split_over_two_parts_is_read,
    }
    poison { one_poisonous_contact_stays_alone, nul_is_taken_out, a_store_that_is_away_takes_nothing, }
    positions { readers_see_every_commit_in_order, a_mutant_that_takes_positions_early_is_caught, the_intake_and_agents_share_one_order, }
    queueing { replies_at_once_are_each_answered, one_origin_makes_one_reply, settled_at_once_each_is_what_was_said, }
    reading {
        a_small_statement_is_not_compiled,
        who_adds_up_what_it_is_shown_has_what_it_may_see, an_event_says_the_theme_that_its_request_had_there, the_latest_hides_no_tombstone,
        who_cannot_go_on_is_told_so,
    }
    rights {
        what_is_not_reached_is_not_there, who_may_not_change_changes_nothing, a_reader_of_little_moves_on,
        evidence_of_two_requests_names_those_that_are_reached,
    }
    redelivery {
        unflushed_is_the_same, flushed_is_a_twin_after_the_window, the_end_of_a_link_casts_doubt, a_restart_casts_doubt, twins_of_one_batch,
        a_repetition_of_a_repetition, what_has_served_is_forgotten,
    }
    replacing {
        what_waits_gives_way_at_once, a_mail_that_waits_gives_way_and_is_no_ancestor, what_the_peer_has_is_replaced_there,
        a_receipt_while_the_peer_is_asked_waits_for_the_answer, without_an_answer_nobody_knows_which_text_is_read,
        what_cannot_be_replaced_says_why, of_many_replacements_one_is_made, a_peer_is_asked_once_what_became_of_a_text,
        the_segments_of_a_text_are_asked_about_one_by_one,
    }
    texting {
        a_split_text_is_what_its_segments_are, a_throttled_segment_alone_is_sent_again, a_death_between_segments_sends_none_twice,
        one_receipt_may_count_for_all, a_silent_segment_makes_it_unknown, a_text_lives_no_longer_than_it_may,
        a_scheduled_text_waits_and_holds_up_none, a_reply_is_taken_back_in_time, a_peer_is_asked_to_forget_what_it_has, an_unknown_id_counts_where_it_can_only_be_one,
        a_receipt_on_another_bind_may_come_before_its_text_is_unknown, an_id_of_long_ago_is_another_text_s, an_id_of_two_texts_is_the_one_s_whose_number_says_so,
    }
    threading {
        a_copy_joins_whoever_sent_it_and_whatever_became_of_the_first, a_copy_of_which_less_is_known_is_found,
        an_answer_reopens_what_was_closed_lately,
        a_late_answer_opens_a_request_that_continues_the_old_one, a_token_proves_the_request_whoever_writes,
        a_forged_token_is_counted_and_ignored, a_reference_counts_for_who_takes_part, a_merged_request_is_followed,
        a_machine_brings_nothing_back, an_answer_may_overtake_its_question, of_many_answers_at_once_one_reopens,
    }
    undeliverable { an_address_that_takes_no_mail_is_left_alone_until_somebody_says_otherwise, }
    webhooks {
        every_event_is_sent_until_it_is_taken, a_dead_endpoint_is_given_up_after_a_day_and_its_rows_are_bounded,
        a_receiver_says_no_more_or_later, two_keys_sign_for_a_time_and_neither_is_plain, of_many_senders_each_event_is_one_s,
    }
    vault {
        a_database_is_sealed_from_the_beginning_or_never, a_new_master_key_takes_over, nodes_that_begin_at_once_share_one,
        a_row_that_was_tampered_with_hides_no_other, nothing_personal_is_plain_in_any_column,
        a_plain_database_is_sealed_and_goes_on,
    }
}
