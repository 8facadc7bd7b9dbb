// What follows from JournalOptions.

#pragma once

#include <cstdint>

#include "server/journal/journal.h"

namespace holdfast::journal {

// The most bytes that one batch may take in a frame: two such frames fit into a segment.
uint64_t RecordBytesMax(const JournalOptions& options);

// The most that several batches together may take in one.
uint64_t GroupBytesMax(const JournalOptions& options);

// The first segment after a start is a quarter of the others: a process that starts often leaves
// little behind, and starts sooner. `tail_bytes`: what recovery has to copy into it.
uint64_t FirstSegmentBytes(const JournalOptions& options, uint64_t tail_bytes);

}  // namespace holdfast::journal
