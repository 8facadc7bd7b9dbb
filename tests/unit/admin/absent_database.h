// A database that is not there.

#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#include "server/mysql/session.h"

namespace holdfast::test {

// A database that cannot be reached, and that holds whoever asks until it is let go.
class AbsentDatabase final : public mysql::SessionSource {
 public:
  absl::StatusOr<mysql::Rented> Rent(absl::Time /*deadline*/) override {
    absl::MutexLock lock(&mu_);
    ++asked_;
    mu_.Await(absl::Condition(&let_go_));
    return absl::UnavailableError("connect to db:3306: refused");
  }
  void Kill(const mysql::Session& /*session*/) override {}

  void LetGo() {
    absl::MutexLock lock(&mu_);
    let_go_ = true;
  }
  void Hold() {
    absl::MutexLock lock(&mu_);
    let_go_ = false;
  }
  bool AwaitAsked() {
    absl::MutexLock lock(&mu_);
    const auto asked = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return asked_ > 0; };
    return mu_.AwaitWithTimeout(absl::Condition(&asked), absl::Seconds(30));
  }

 private:
  absl::Mutex mu_;
  bool let_go_ ABSL_GUARDED_BY(mu_) = true;
  int asked_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace holdfast::test
