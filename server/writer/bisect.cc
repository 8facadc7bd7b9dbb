#include "server/writer/bisect.h"

#include <utility>

#include "server/base/seeded_bug.h"
#include "server/base/status_macros.h"
#include "server/mysql/errors.h"

namespace holdfast::writer {
namespace {

class Bisection {
 public:
  Bisection(Transaction& transaction, const statement::Call& call)
      : transaction_(transaction), call_(call) {}

  // Tries the range whole. Where it is rejected, halving finds the first row at fault, and what is
  // behind that is tried whole again: with one such row, log2 of the rows and one more. Where one
  // is found the next may be near: it is sought in steps that double, so that a range in which
  // every row is at fault takes two statements for each.
  absl::Status Insert(size_t first, size_t count) {
    absl::Status tried = Try(first, count);
    bool is_near = false;
    while (IsRejection(tried)) {
      const size_t end = first + count;
      HOLDFAST_RETURN_IF_ERROR(is_near ? Gallop(&first, &count, &tried) : absl::OkStatus());
      HOLDFAST_RETURN_IF_ERROR(Halve(&first, count, std::move(tried)));
      count = end - first;
      if (count == 0 || HOLDFAST_SEEDED_BUG(kBisectingDropsTheGoodHalf)) return absl::OkStatus();
      tried = Try(first, count);
      is_near = true;
    }
    return tried;
  }

  Inserted Take() { return std::move(inserted_); }

 private:
  static bool IsRejection(const absl::Status& status) {
    if (status.ok()) return false;
    const flow::Verdict verdict = mysql::VerdictOf(status);
    if (HOLDFAST_SEEDED_BUG(kOutageQuarantines) && verdict == flow::Verdict::kOutage) return true;
    return verdict == flow::Verdict::kReject;
  }

  absl::Status Try(size_t first, size_t count) {
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t affected,
                              transaction_.Execute(*call_.statement, call_.rows, first, count));
    inserted_.ranges.push_back({first, count, affected});
    return absl::OkStatus();
  }

  // The range was rejected for `rejection`, and nothing of it is in. Makes it shorter, until it
  // begins with rows that are in and the row at fault is among the next few.
  absl::Status Gallop(size_t* first, size_t* count, absl::Status* rejection) {
    for (size_t step = 1; step < *count; step *= 2) {
      absl::Status tried = Try(*first, step);
      if (IsRejection(tried)) {
        *count = step;
        *rejection = std::move(tried);
        return absl::OkStatus();
      }
      HOLDFAST_RETURN_IF_ERROR(tried);
      *first += step;
      *count -= step;
    }
    return absl::OkStatus();
  }

  // The same range, halved until one row is left: that is at fault, those before it are in, and
  // `first` comes to stand behind it.
  absl::Status Halve(size_t* first, size_t count, absl::Status rejection) {
    while (count > 1) {
      const size_t left = count / 2;
      absl::Status tried = Try(*first, left);
      if (IsRejection(tried)) {
        count = left;
        rejection = std::move(tried);
        continue;
      }
      HOLDFAST_RETURN_IF_ERROR(tried);
      // With the left half fine, what was rejected is in the right one.
      *first += left;
      count -= left;
    }
    inserted_.rejected.push_back({*first, std::move(rejection)});
    ++*first;
    return absl::OkStatus();
  }

  Transaction& transaction_;
  const statement::Call& call_;
  Inserted inserted_;
};

}  // namespace

absl::StatusOr<Inserted> InsertBisecting(Transaction& transaction, const statement::Call& call) {
  Bisection bisection(transaction, call);
  for (size_t first = 0; first < call.rows.size();) {
    const size_t count = transaction.RowsThatFit(call, first);
    HOLDFAST_RETURN_IF_ERROR(bisection.Insert(first, count));
    first += count;
  }
  return bisection.Take();
}

}  // namespace holdfast::writer
