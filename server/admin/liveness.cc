#include "server/admin/liveness.h"

namespace holdfast::admin {
namespace {
constexpr absl::Duration kFreshFor = absl::Seconds(1);
}  // namespace

absl::Status Liveness::Check() {
  if (daemon_.Facts().draining) return absl::OkStatus();
  absl::MutexLock lock(&mu_);
  if (clock_.Steady() - asked_at_ < kFreshFor) return answer_;
  answer_ = daemon_.Probe();
  asked_at_ = clock_.Steady();
  return answer_;
}

}  // namespace holdfast::admin
