// Inserts raw rows, and finds those that the database rejects.
//
// A statement that is rejected is undone by the server alone; the transaction goes on. So the rows
// of a rejected range are tried in parts: one bad row among n costs at most log2(n) + 2 statements
// more, and bad rows only at most two for each. A row is rejected only if it was alone.

#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"

#include "server/statement/build.h"
#include "server/writer/transaction.h"

namespace holdfast::writer {

struct RejectedRow {
  size_t row = 0;
  absl::Status reason;  // Its own: the row was tried alone. Its verdict is kReject.
};

// Rows that went in with one statement, of which `affected` were new.
struct InsertedRows {
  size_t first = 0;
  size_t count = 0;
  uint64_t affected = 0;
};

struct Inserted {
  std::vector<InsertedRows> ranges;
  std::vector<RejectedRow> rejected;  // In the order of the rows.
};

// Inserts all rows of `call` that the database takes. Any other error than a rejection is returned.
absl::StatusOr<Inserted> InsertBisecting(Transaction& transaction, const statement::Call& call);

}  // namespace holdfast::writer
