//! Devices that wait for a login (RFC 8628). Pure: time and new codes are arguments.

use std::collections::HashMap;

use crate::{authorization::Authorization, config::Config, refusal::PollRefusal};

/// What a device that polls too fast must wait longer, for good (RFC 8628, section 3.5).
const SLOW_DOWN_MS: u64 = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Pending,
    Approved,
    Denied,
}

#[derive(Debug)]
struct Device {
    client_id: String,
    user_code: String,
    authorization: Authorization,
    expires_at: u64,
    interval_ms: u64,
    polled_at: Option<u64>,
    decision: Decision,
}

/// The two codes of a device, made by the caller.
#[derive(Clone, Debug)]
pub(crate) struct DeviceCodes {
    pub(crate) device: String,
    /// Eight letters and a dash.
    pub(crate) user: String,
}

/// Each device by its device code.
#[derive(Debug, Default)]
pub(crate) struct Devices(HashMap<String, Device>);

impl Devices {
    pub(crate) fn begin(
        &mut self,
        config: &Config,
        authorization: Authorization,
        codes: DeviceCodes,
        now: u64,
    ) {
        let device = Device {
            client_id: config.client_id.clone(),
            user_code: codes.user,
            authorization,
            expires_at: now.saturating_add(config.device_code_ttl_ms),
            interval_ms: config.device_interval_ms,
            polled_at: None,
            decision: Decision::Pending,
        };
        self.0.insert(codes.device, device);
    }

    /// Somebody entered a user code and decided. False if no device waits for it.
    pub(crate) fn decide(&mut self, user_code: &str, approve: bool, now: u64) -> bool {
        let wanted = letters(user_code);
        let waiting = self.0.values_mut().find(|device| {
            device.decision == Decision::Pending
                && now < device.expires_at
                && letters(&device.user_code) == wanted
        });
        waiting.is_some_and(|device| {
            device.decision = if approve { Decision::Approved } else { Decision::Denied };
            true
        })
    }

    /// What a device gets that asks whether somebody has decided.
    pub(crate) fn poll(
        &mut self,
        client_id: &str,
        code: &str,
        now: u64,
    ) -> Result<Authorization, PollRefusal> {
        let device = self
            .0
            .get_mut(code)
            .filter(|device| device.client_id == client_id)
            .ok_or(PollRefusal::Unknown)?;
        match device.decision {
            Decision::Denied => Err(PollRefusal::Denied),
            Decision::Approved | Decision::Pending if now >= device.expires_at => {
                Err(PollRefusal::Expired)
            }
            Decision::Approved => Ok(device.authorization.clone()),
            Decision::Pending => {
                let before = device.polled_at.replace(now);
                if before.is_some_and(|before| now.saturating_sub(before) < device.interval_ms) {
                    device.interval_ms += SLOW_DOWN_MS;
                    return Err(PollRefusal::SlowDown);
                }
                Err(PollRefusal::Pending)
            }
        }
    }

    /// A device code is good for one grant.
    pub(crate) fn spend(&mut self, code: &str) {
        self.0.remove(code);
    }
}

/// People leave the dash out, and write small letters (RFC 8628, section 6.1).
fn letters(user_code: &str) -> String {
    let letters = user_code.chars().filter(char::is_ascii_alphabetic);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}
