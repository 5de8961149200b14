//! A proof signer with a key in memory, as a host would have one.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use regrant::{Proof, ProofError, ProofSigner, Secret};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[derive(Debug)]
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    asked: AtomicUsize,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ES256, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ES256, pkcs8.as_ref(), &random).unwrap();
        Self { key, random, asked: AtomicUsize::new(0) }
    }

    /// The uncompressed point.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.public_key().as_ref().to_vec()
    }

    /// How many proofs were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn random(&self) -> [u8; 16] {
        let mut random = [0; 16];
        self.random.fill(&mut random).unwrap();
        random
    }
}

#[async_trait]
impl ProofSigner for Signer {
    async fn sign(&self, proof: &Proof<'_>) -> Result<Secret, ProofError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let head = json!({
            "typ": "dpop+jwt",
            "alg": "ES256",
            "jwk": { "kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y) },
        });
        let mut claims = json!({
            "jti": BASE64.encode(self.random()),
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
        let encode = |part: &Value| BASE64.encode(part.to_string());
        let message = format!("{}.{}", encode(&head), encode(&claims));
        let signature = self.key.sign(&self.random, message.as_bytes()).map_err(|_| "unsigned");
        let signature = BASE64.encode(signature.map_err(ProofError::new)?);
        Ok(Secret::new(format!("{message}.{signature}")))
    }
}
