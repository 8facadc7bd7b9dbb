#include "server/writer/bisect.h"

#include <algorithm>
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
  // behind that is tried whole again. Where one is found the next may be near: it is sought in
  // steps that double, so that a range in which every row is at fault takes two statements for
  // each.
  absl::Status Insert(size_t first, size_t count) {
    const size_t end = first + count;
    for (bool is_near = false; first < end; is_near = true) {
      absl::Status tried = Try(first, end - first);
      if (!IsRejection(tried)) return tried;
      Suspects suspects = {first, end - first, std::move(tried), /*apart=*/true};
      if (is_near) HOLDFAST_RETURN_IF_ERROR(Gallop(&suspects));
      HOLDFAST_RETURN_IF_ERROR(Halve(&suspects));
      if (HOLDFAST_SEEDED_BUG(kBisectingDropsTheGoodHalf)) return absl::OkStatus();
      first = suspects.first;
    }
    return absl::OkStatus();
  }

  Inserted Take() { return std::move(inserted_); }

 private:
  // Rows among which one is at fault, as the last statement that was rejected has it.
  struct Suspects {
    size_t first;
    size_t count;
    absl::Status rejection;
    bool apart;  // That statement held no other rows.
  };

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

  // Tries the first `count` of them. If these go in the others remain, otherwise they do.
  absl::Status Narrow(size_t count, Suspects* suspects) {
    absl::Status tried = Try(suspects->first, count);
    if (IsRejection(tried)) {
      suspects->count = count;
      suspects->rejection = std::move(tried);
      suspects->apart = true;
      return absl::OkStatus();
    }
    HOLDFAST_RETURN_IF_ERROR(tried);
    suspects->first += count;
    suspects->count -= count;
    suspects->apart = false;
    return absl::OkStatus();
  }

  // Until the row at fault is among the next few.
  absl::Status Gallop(Suspects* suspects) {
    for (size_t step = 1; step < suspects->count; step *= 2) {
      HOLDFAST_RETURN_IF_ERROR(Narrow(step, suspects));
    }
    return absl::OkStatus();
  }

  // Until one is left, which is at fault, or none: what was wrong may have been mended meanwhile
  // (the row that a foreign key asks for has come), and so none is condemned for what others were
  // rejected. Those before are in, and `suspects` comes to stand behind.
  absl::Status Halve(Suspects* suspects) {
    while (suspects->count > 1 || (suspects->count == 1 && !suspects->apart)) {
      HOLDFAST_RETURN_IF_ERROR(Narrow(std::max<size_t>(suspects->count / 2, 1), suspects));
    }
    if (suspects->count == 1) {
      inserted_.rejected.push_back({suspects->first, std::move(suspects->rejection)});
      ++suspects->first;
    }
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
