// The status page: index.html with its style and its scripts in it, put together by embed.cmake.

#pragma once

#include "absl/strings/string_view.h"

namespace holdfast::admin {

absl::string_view StatusPage();

// Its Content-Security-Policy: it runs what is in it, asks whoever served it, and nothing else.
absl::string_view StatusPagePolicy();

}  // namespace holdfast::admin
