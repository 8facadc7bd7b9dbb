// Hands an error on to the caller. Two macros, the whole of our error plumbing.

#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function with `expression`'s status unless it is OK.
#define HOLDFAST_RETURN_IF_ERROR(expression)                                            \
  do {                                                                                  \
    if (absl::Status status_of_expression = (expression); !status_of_expression.ok()) { \
      return status_of_expression;                                                      \
    }                                                                                   \
  } while (false)

#define HOLDFAST_CONCAT_INNER(left, right) left##right
#define HOLDFAST_CONCAT(left, right) HOLDFAST_CONCAT_INNER(left, right)

// Assigns the value of `expression`, a StatusOr, to `target`, or returns its status.
#define HOLDFAST_ASSIGN_OR_RETURN(target, expression) \
  HOLDFAST_ASSIGN_OR_RETURN_INNER(HOLDFAST_CONCAT(status_or_, __LINE__), target, expression)

#define HOLDFAST_ASSIGN_OR_RETURN_INNER(result, target, expression) \
  auto result = (expression);                                       \
  if (!result.ok()) return std::move(result).status();              \
  target = std::move(result).value()
