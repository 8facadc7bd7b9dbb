// The comment that says in a server's logs for whom a transaction runs.

#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "server/event/kind.h"
#include "server/event/trace.h"

namespace holdfast::statement {

// As sqlcommenter (https://google.github.io/sqlcommenter/spec/) writes it, keys in order:
//
//   /*traceparent='00-<trace id>-<parent id>-01',traceparent_2='00-...',traces_more='7'*/
//
// The first trace, the others that are kept, and how many there are beside them. Hexadecimal digits
// and nothing else of what a gateway sent. Empty if there is no trace.
std::string TraceComment(const event::TraceSet& traces);

// The tables that a batch of this kind is written to, for the log: "usage_records,usage_stats".
absl::string_view TablesOf(event::Kind kind);

}  // namespace holdfast::statement
