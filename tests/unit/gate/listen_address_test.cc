#include "server/gate/listen_address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/gate/gate.h"
#include "tests/support/status_matchers.h"

namespace holdfast::gate {
namespace {

using test::StatusIs;
using testing::HasSubstr;

TEST(ListenAddressTest, ReadsSocketsAndNumbersAndNothingElse) {
  for (const char* good : {"unix:/run/a.sock", "127.0.0.1:0", "[::1]:5555", "localhost:65535",
                           "0.0.0.0:5555", "[::]:5555", "10.0.0.1:5555"}) {
    EXPECT_OK(ParseListenAddress(good)) << good;
  }
  for (const char* bad :
       {"gateway:5555", ":5555", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:1x", "unix:", "unix:run/a.sock", "unix:/run/", "", "dns:x:1", "::1:5555",
        "[127.0.0.1]:1", "127.1:1", "127.0.0.1:1,127.0.0.1:2"}) {
    EXPECT_EQ(ParseListenAddress(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_THAT(ParseListenAddress("unix:/" + std::string(200, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("107")));
}

TEST(ListenAddressTest, WhatIsWrittenIsReadAgain) {
  for (const char* text : {"unix:/run/a.sock", "127.0.0.1:80", "[::1]:5555", "0.0.0.0:1"}) {
    EXPECT_EQ(ParseListenAddress(text)->ToString(), text);
  }
  EXPECT_EQ(ParseListenAddress("[::]:80")->Reachable().ToString(), "[::1]:80");
  EXPECT_EQ(ParseListenAddress("0.0.0.0:80")->Reachable().ToString(), "127.0.0.1:80");
  EXPECT_EQ(ParseListenAddress("10.0.0.7:80")->Reachable().ToString(), "10.0.0.7:80");
}

TEST(ListenAddressTest, WithoutTlsOnlyThisMachineMayConnect) {
  GateOptions options;
  for (const char* local : {"unix:/run/a.sock", "127.0.0.1:0", "[::1]:5555", "127.0.0.2:1"}) {
    options.listen = *ParseListenAddress(local);
    EXPECT_OK(options.Validate()) << local;
  }
  for (const char* open : {"0.0.0.0:5555", "[::]:5555", "10.0.0.1:5555", "[::ffff:127.0.0.1]:1"}) {
    options.listen = *ParseListenAddress(open);
    EXPECT_THAT(options.Validate(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HOLDFAST_TLS_CERT_FILE")))
        << open;
  }
  options.tls = {"/cert", "/key", "/ca", {}};
  EXPECT_OK(options.Validate());
}

}  // namespace
}  // namespace holdfast::gate
