//! Keys of the tests: proofs of possession and client assertions, as a host makes them.

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use regrant::{Proof, ProofError, ProofSigner, Secret};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A P-256 key in memory.
#[derive(Debug)]
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Key {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ES256, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ES256, pkcs8.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    pub(crate) fn from_pem(pem: &str) -> Self {
        let random = SystemRandom::new();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ES256, der.secret_pkcs8_der(), &random).unwrap();
        Self { pair, random }
    }

    /// Something that no other call gives.
    pub(crate) fn nonce(&self) -> String {
        let mut random = [0; 16];
        self.random.fill(&mut random).unwrap();
        BASE64.encode(random)
    }

    /// A JWT in its compact form (RFC 7515 section 7.1).
    pub(crate) fn signed(&self, head: &Value, claims: &Value) -> String {
        let encode = |part: &Value| BASE64.encode(part.to_string());
        let message = format!("{}.{}", encode(head), encode(claims));
        let signature = self.pair.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64.encode(signature))
    }
}

#[async_trait]
impl ProofSigner for Key {
    async fn sign(&self, proof: &Proof<'_>) -> Result<Secret, ProofError> {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let jwk =
            json!({ "kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y) });
        let head = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "jti": self.nonce(),
            "htm": proof.method,
            "htu": proof.url,
            "iat": proof.issued_at.as_millis() / 1_000,
        });
        if let Some(nonce) = proof.nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = proof.access_token {
            claims["ath"] = BASE64.encode(Sha256::digest(token.expose())).into();
        }
        Ok(Secret::new(self.signed(&head, &claims)))
    }
}
