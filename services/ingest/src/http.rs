//! The routes: one file an endpoint.

mod activate_site;
mod answers;
mod approve_erasure;
mod approve_redaction;
mod change_submission_signing;
mod correct_data;
mod end_delegation;
mod enrol_participant;
mod grant_delegation;
mod import_status;
mod open_emergency_access;
mod params;
mod place_legal_hold;
mod publish_consent_version;
mod randomise_participant;
mod record_data;
mod record_disposition;
mod record_irb_decision;
mod record_visit;
mod register_signing_key;
mod register_submission_key;
mod register_trial;
mod release_legal_hold;
mod report_adverse_event;
mod request_erasure;
mod request_redaction;
mod revoke_signing_key;
mod revoke_submission_key;
mod screen_participant;
mod sent;
mod sign_consent;
mod sign_record;
mod start_import;
mod submit_protocol_version;
mod submit_results;
mod unblind_participant;
mod withdraw_consent;

use utoipa_actix_web::service_config::ServiceConfig;

/// Adds the routes to an app that has `web::Data<Ingest>`, tells who asks (`trialseal_access::http`) and gives requests
/// an id (`trialseal_runtime::request_log`).
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(register_trial::register_trial)
        .service(submit_protocol_version::submit_protocol_version)
        .service(record_irb_decision::record_irb_decision)
        .service(activate_site::activate_site)
        .service(publish_consent_version::publish_consent_version)
        .service(submit_results::submit_results)
        .service(screen_participant::screen_participant)
        .service(sign_consent::sign_consent)
        .service(withdraw_consent::withdraw_consent)
        .service(enrol_participant::enrol_participant)
        .service(randomise_participant::randomise_participant)
        .service(unblind_participant::unblind_participant)
        .service(open_emergency_access::open_emergency_access)
        .service(record_visit::record_visit)
        .service(record_data::record_data)
        .service(correct_data::correct_data)
        .service(report_adverse_event::report_adverse_event)
        .service(record_disposition::record_disposition)
        .service(request_erasure::request_erasure)
        .service(approve_erasure::approve_erasure)
        .service(request_redaction::request_redaction)
        .service(approve_redaction::approve_redaction)
        .service(place_legal_hold::place_legal_hold)
        .service(release_legal_hold::release_legal_hold)
        .service(register_submission_key::register_submission_key)
        .service(revoke_submission_key::revoke_submission_key)
        .service(change_submission_signing::change_submission_signing)
        .service(register_signing_key::register_signing_key)
        .service(revoke_signing_key::revoke_signing_key)
        .service(sign_record::sign_record)
        .service(grant_delegation::grant_delegation)
        .service(end_delegation::end_delegation)
        .service(start_import::start_import)
        .service(import_status::import_status);
}
