#include "server/ingress/outbox.h"

#include <algorithm>
#include <utility>

namespace holdfast::ingress {

void Outbox::Schedule() {
  ack_ = latest_;
  ack_due_ = true;
  errors_before_ack_ = errors_.size();
}

void Outbox::Advance(const Progress& progress) {
  latest_.journaled_through = std::max(latest_.journaled_through, progress.journaled_through);
  latest_.committed_through = std::max(latest_.committed_through, progress.committed_through);
  if (latest_ == ack_) return;
  // One that waits may only grow if no error was added behind it; otherwise the next one says it.
  // So a steady flow of errors cannot put an acknowledgement off for ever.
  if (!ack_due_ || errors_before_ack_ == errors_.size()) Schedule();
}

void Outbox::Repeat() {
  if (!ack_due_) Schedule();
}

std::optional<v1::StreamResponse> Outbox::Next() {
  if (!opened_) return std::nullopt;
  v1::StreamResponse response;
  if (welcome_.has_value()) {
    *response.mutable_welcome() = *std::exchange(welcome_, std::nullopt);
    return response;
  }
  if (ack_due_ && errors_before_ack_ == 0) {
    response.mutable_ack()->set_journaled_through(ack_.journaled_through);
    response.mutable_ack()->set_committed_through(ack_.committed_through);
    ack_due_ = false;
    if (latest_ != ack_) Schedule();
    return response;
  }
  if (errors_.empty()) return std::nullopt;
  *response.mutable_event_error() = std::move(errors_.front());
  errors_.pop_front();
  if (ack_due_) --errors_before_ack_;
  return response;
}

void Outbox::Clear() {
  welcome_.reset();
  errors_.clear();
  ack_due_ = false;
}

}  // namespace holdfast::ingress
