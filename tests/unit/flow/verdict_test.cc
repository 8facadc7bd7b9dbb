#include "server/flow/verdict.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace holdfast::flow {
namespace {

TEST(VerdictTest, EachVerdictHasANameOfItsOwn) {
  std::set<std::string> names;
  for (const Verdict verdict :
       {Verdict::kRetry, Verdict::kUnknown, Verdict::kReconnect, Verdict::kElsewhere,
        Verdict::kThrottle, Verdict::kReject, Verdict::kOutage}) {
    names.insert(std::string(VerdictName(verdict)));
  }
  EXPECT_EQ(names, (std::set<std::string>{"retry", "unknown", "reconnect", "elsewhere", "throttle",
                                          "reject", "outage"}));
}

}  // namespace
}  // namespace holdfast::flow
