#include "server/inspect/request.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace holdfast::inspect {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(RequestTest, AnExportIsSelectedByProducerKindAndOffsets) {
  const auto request = ParseRequest("export", {"--producer=20212223-2425-2627-2829-2a2b2c2d2e2f",
                                               "--kind=usage", "--from_offset=5", "--to_offset=9"});
  ASSERT_OK(request);
  EXPECT_EQ(request->what, Request::What::kExport);
  EXPECT_EQ(event::FormatUuid(*request->selection.producer),
            "20212223-2425-2627-2829-2a2b2c2d2e2f");
  EXPECT_EQ(request->selection.kind, event::Kind::kUsage);
  EXPECT_EQ(request->selection.from_offset, 5);
  EXPECT_EQ(request->selection.to_offset, 9);
  EXPECT_FALSE(request->ask_database);
}

TEST(RequestTest, WhatIsPendingOnlyTheDatabaseKnows) {
  EXPECT_TRUE(ParseRequest("export", {"--pending_only"})->ask_database);
  EXPECT_TRUE(ParseRequest("ls", {"--database"})->ask_database);
  EXPECT_FALSE(ParseRequest("ls", {})->ask_database);
}

TEST(RequestTest, WhatWillNotDoIsNamed) {
  EXPECT_THAT(ParseRequest("rm", {}), StatusIs(kInvalid, HasSubstr("ls, verify or export")));
  EXPECT_THAT(ParseRequest("verify", {"--kind=usage"}), StatusIs(kInvalid, HasSubstr("--kind")));
  EXPECT_THAT(ParseRequest("export", {"--kind=x"}), StatusIs(kInvalid, HasSubstr("--kind=x")));
  EXPECT_THAT(ParseRequest("export", {"--producer=x"}), StatusIs(kInvalid, HasSubstr("UUID")));
  EXPECT_THAT(ParseRequest("export", {"--from_offset=0"}), StatusIs(kInvalid, HasSubstr("from 1")));
  EXPECT_THAT(ParseRequest("export", {"--from_offset=9", "--to_offset=8"}),
              StatusIs(kInvalid, HasSubstr("nothing lies between")));
  EXPECT_THAT(ParseRequest("export", {"usage"}), StatusIs(kInvalid, HasSubstr("expected a flag")));
}

}  // namespace
}  // namespace holdfast::inspect
