#include "server/admin/background.h"

#include <utility>

namespace holdfast::admin {

Background::Background(size_t waiting_max)
    : waiting_max_(waiting_max), thread_([this] { Run(); }) {}

Background::~Background() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

bool Background::TryRun(absl::AnyInvocable<void()> task) {
  absl::MutexLock lock(&mu_);
  if (stopping_ || tasks_.size() >= waiting_max_) return false;
  tasks_.push_back(std::move(task));
  return true;
}

void Background::Run() {
  while (true) {
    absl::AnyInvocable<void()> task;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &Background::HasWork));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace holdfast::admin
