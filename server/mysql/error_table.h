// What is known of error numbers: the verdict, what the number means in words that repeat no value,
// and what to do about it. The reasons are in server/mysql/README.md.

#pragma once

#include "server/flow/verdict.h"

namespace holdfast::mysql {

struct KnownError {
  unsigned error_number;
  flow::Verdict verdict;
  const char* meaning;
  const char* remedy;  // For an operator; "" where there is nothing to do.
};

// The entry of `error_number`, or nullptr.
const KnownError* FindKnownError(unsigned error_number);

}  // namespace holdfast::mysql
