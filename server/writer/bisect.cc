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

  // Tries the range; splits it if it is rejected.
  absl::Status Insert(size_t first, size_t count) {
    const absl::Status tried = Try(first, count);
    return IsRejection(tried) ? Split(first, count, tried) : tried;
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

  // The range was rejected for `rejection`, and nothing of it is in. Depth: log2 of its size.
  absl::Status Split(size_t first, size_t count, const absl::Status& rejection) {
    if (count == 1) {
      inserted_.rejected.push_back({first, rejection});
      return absl::OkStatus();
    }
    const size_t left = count / 2;
    const absl::Status left_tried = Try(first, left);
    // With the left half fine, what was rejected is in the right one.
    if (left_tried.ok()) return Split(first + left, count - left, rejection);
    if (!IsRejection(left_tried)) return left_tried;
    HOLDFAST_RETURN_IF_ERROR(Split(first, left, left_tried));
    if (HOLDFAST_SEEDED_BUG(kBisectingDropsTheGoodHalf)) return absl::OkStatus();
    return Insert(first + left, count - left);
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
