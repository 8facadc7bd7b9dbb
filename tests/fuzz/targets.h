// What is fuzzed. Each target takes any bytes and returns; what it must not do is crash, run
// without end, or break one of the promises that it checks with HOLDFAST_CHECK.
//
// The same functions run twice: as libFuzzer programs (run), and over the files of corpus/ and
// crashes/ as plain tests (corpus_test.cc).

#pragma once

#include "absl/strings/string_view.h"

namespace holdfast::fuzz {

// Headers, frames and records of a segment; with checksums repaired where the first byte says so.
void Frames(absl::string_view input);

// A folder made by the input (folder.h): recovered, opened, read, opened again.
void Recovery(absl::string_view input);

// A request as a gateway sends it, down to the rows that would be written.
void Events(absl::string_view input);

// A command line and an environment, a line for each flag or variable.
void Config(absl::string_view input);

// A line of a file that the command-line tool sends.
void Lines(absl::string_view input);

}  // namespace holdfast::fuzz
