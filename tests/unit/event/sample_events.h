// Valid events to start from, and ways to spoil them.

#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "holdfast/v1/ingest.pb.h"

namespace holdfast::event {

// When the samples happened: 2026-01-01T10:30:15.123456789Z.
absl::Time SampleTime();

// One of each kind, every field set.
v1::Event RateLimitSample();  // With hits and an event_id.
v1::Event UsageSample();
v1::Event MessageSample();
std::vector<v1::Event> AllSamples();

// The field at `path` ("usage.model"), and the message that it belongs to.
struct FieldOf {
  google::protobuf::Message* message;
  const google::protobuf::FieldDescriptor* field;
};
FieldOf Find(v1::Event* event, absl::string_view path);
void SetString(v1::Event* event, absl::string_view path, const std::string& value);
void SetInteger(v1::Event* event, absl::string_view path, int64_t value);
void Clear(v1::Event* event, absl::string_view path);

// `events` from sequence `first_sequence` on, serialized.
std::string Encode(uint64_t first_sequence, const std::vector<v1::Event>& events);

// A field of a message, encoded by hand.
std::string LengthDelimited(int number, absl::string_view bytes);
std::string Varint(int number, uint64_t value);

// `bytes` with a few random changes: bytes altered, cut out, put in or repeated.
std::string Mutate(std::string bytes, std::mt19937_64* random);

}  // namespace holdfast::event
