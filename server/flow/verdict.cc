#include "server/flow/verdict.h"

#include "server/base/check.h"

namespace holdfast::flow {

absl::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRetry:
      return "retry";
    case Verdict::kUnknown:
      return "unknown";
    case Verdict::kReconnect:
      return "reconnect";
    case Verdict::kElsewhere:
      return "elsewhere";
    case Verdict::kThrottle:
      return "throttle";
    case Verdict::kReject:
      return "reject";
    case Verdict::kOutage:
      return "outage";
  }
  HOLDFAST_CHECK(false);
}

}  // namespace holdfast::flow
