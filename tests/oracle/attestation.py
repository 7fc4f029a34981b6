"""Holds DSSE envelopes of in-toto Statements against in-toto's and securesystemslib's own programs: `attestation.py PEM FILE...`, an
envelope a line. Prints the predicate type of each."""
import json
import sys

import in_toto_attestation.predicates.vsa.v1.vsa_pb2 as vsa
import in_toto_attestation.v1.statement_pb2 as statements
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

SUMMARY, PROVENANCE = "https://slsa.dev/verification_summary/v1", "https://slsa.dev/provenance/v1"
SUMMARY_FIELDS = {"verifier", "timeVerified", "resourceUri", "policy", "inputAttestations", "verificationResult", "verifiedLevels",
                  "dependencyLevels", "slsaVersion"}


def descriptor(value):
    """A resource descriptor of the form that in-toto wants, with SHA-256 where it has a digest of bytes."""
    parsed = ResourceDescriptor()
    json_format.ParseDict(value, parsed.pb)
    parsed.validate()
    assert set(value.get("digest", {})) & {"sha256", "dirHash", "choraleBaseModel"} or "digest" not in value, value
    return parsed


def summary(predicate):
    """A verification summary as SLSA 1.1 has it: what it must have, and no field that is neither its own nor a URI."""
    # The package has one level where the specification has a list of them.
    levels = predicate["verifiedLevels"]
    rest = {name: value for name, value in predicate.items() if name != "verifiedLevels"}
    parsed = json_format.ParseDict(rest, vsa.VerificationSummary(), ignore_unknown_fields=True)
    assert parsed.verifier.id and parsed.resource_uri and parsed.policy.uri, predicate
    assert parsed.time_verified.seconds > 0, "timeVerified"
    assert parsed.verification_result in ("PASSED", "FAILED") and levels, predicate
    assert all(isinstance(level, str) and not level.startswith("SLSA_") for level in levels)
    assert all(":" in field for field in set(predicate) - SUMMARY_FIELDS), predicate
    descriptor(predicate["policy"])


def provenance(predicate):
    """Provenance as SLSA 1.1 has it."""
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    assert ":" in definition["buildType"] and ":" in details["builder"]["id"]
    assert definition["externalParameters"] and not set(definition["externalParameters"]) & set(definition["internalParameters"])
    for value in definition["resolvedDependencies"]:
        descriptor(value)
        if value["uri"].startswith("chorale:blob/"):
            assert value["uri"] == f"chorale:blob/{value['digest']['blake3']}", value


def check(line, key):
    """The predicate type of an envelope that this key signed."""
    envelope = Envelope.from_dict(json.loads(line))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert len(envelope.verify([key], 1)) == 1
    statement = json.loads(envelope.payload)
    parsed = Statement.copy_from_pb(json_format.ParseDict(statement, statements.Statement()))
    parsed.validate()
    for subject in statement["subject"]:
        assert subject["name"]
        descriptor(subject)
    {SUMMARY: summary, PROVENANCE: provenance}[statement["predicateType"]](statement["predicate"])
    return statement["predicateType"]


def main():
    with open(sys.argv[1], "rb") as file:
        public = load_pem_public_key(file.read())
    key = SSlibKey.from_crypto(public, keyid=public.public_bytes_raw().hex())
    for name in sys.argv[2:]:
        with open(name, encoding="utf-8") as file:
            for line in file:
                print(check(line, key))


if __name__ == "__main__":
    main()
