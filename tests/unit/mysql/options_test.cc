#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/mysql/pool.h"
#include "tests/support/status_matchers.h"

namespace holdfast::mysql {
namespace {

using ::testing::StartsWith;

DatabaseOptions Sound() {
  DatabaseOptions options;
  options.endpoints = {{"127.0.0.1", 3306, ""}};
  return options;
}

TEST(DatabaseOptionsTest, TheDefaultsWithAnEndpointAreSound) { EXPECT_OK(Sound().Validate()); }

TEST(DatabaseOptionsTest, EachBadFieldIsNamed) {
  const std::pair<const char*, std::function<void(DatabaseOptions&)>> cases[] = {
      {"endpoints", [](auto& o) { o.endpoints.clear(); }},
      {"endpoints", [](auto& o) { o.endpoints[0].host.clear(); }},
      {"endpoints", [](auto& o) { o.endpoints[0].socket = "/s"; }},
      {"endpoints", [](auto& o) { o.endpoints[0].port = 70000; }},
      {"database", [](auto& o) { o.database.clear(); }},
      {"database", [](auto& o) { o.database.assign(65, 'x'); }},
      {"user", [](auto& o) { o.user.clear(); }},
      {"password_file", [](auto& o) { o.password = "a", o.password_file = "b"; }},
      {"ssl_ca", [](auto& o) { o.ssl_mode = SslMode::kVerifyCa; }},
      {"pool_size", [](auto& o) { o.pool_size = 0; }},
      {"max_overflow", [](auto& o) { o.max_overflow = -1; }},
      {"pool_timeout", [](auto& o) { o.pool_timeout = absl::ZeroDuration(); }},
      {"pool_recycle", [](auto& o) { o.pool_recycle = absl::ZeroDuration(); }},
      {"connect_timeout", [](auto& o) { o.connect_timeout = absl::InfiniteDuration(); }},
      {"query_timeout", [](auto& o) { o.query_timeout = absl::Milliseconds(1); }},
      {"lock_wait_timeout", [](auto& o) { o.lock_wait_timeout = absl::ZeroDuration(); }},
      {"query_timeout", [](auto& o) { o.lock_wait_timeout = o.query_timeout + absl::Seconds(1); }},
      {"idle_timeout", [](auto& o) { o.idle_timeout = -absl::Seconds(1); }},
      {"slow_statement", [](auto& o) { o.slow_statement = absl::ZeroDuration(); }},
      {"isolation_level", [](auto& o) { o.isolation_level = "READ UNCOMMITTED"; }},
      {"breaker", [](auto& o) { o.breaker.failure_threshold = 0; }},
  };
  for (const auto& [field, spoil] : cases) {
    DatabaseOptions options = Sound();
    spoil(options);
    EXPECT_THAT(options.Validate(),
                test::StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(field)));
  }
}

TEST(EndpointTest, IsNamedByWhatWasConfigured) {
  EXPECT_EQ((Endpoint{"db", 3307, ""}).ToString(), "db:3307");
  EXPECT_EQ((Endpoint{"", 3306, "/run/s"}).ToString(), "/run/s");
}

}  // namespace
}  // namespace holdfast::mysql
