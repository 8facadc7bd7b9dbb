#include "server/event/view.h"

namespace holdfast::event {
namespace {

Moment MomentOf(const google::protobuf::Timestamp& time) { return {time.seconds(), time.nanos()}; }

RateLimitView ViewOf(const v1::RateLimitEvent& message) {
  RateLimitView view;
  view.identifier = message.identifier();
  view.window_type = message.window_type();
  view.route_path = message.route_path();
  if (message.has_window_start()) view.window_start = MomentOf(message.window_start());
  if (message.has_window_end()) view.window_end = MomentOf(message.window_end());
  view.count_case = message.count_case();
  view.count = message.has_hits() ? message.hits() : message.observed();
  view.event_id = message.event_id();
  return view;
}

UsageView ViewOf(const v1::UsageEvent& message) {
  UsageView view;
  view.event_id = message.event_id();
  view.api_key_id = message.api_key_id();
  view.account_id = message.account_id();
  view.account_type = message.account_type();
  view.model = message.model();
  view.request_id = message.request_id();
  view.endpoint = message.endpoint();
  view.method = message.method();
  view.status_code = message.status_code();
  view.stream = message.stream();
  view.long_context = message.long_context();
  view.duration_ms = message.duration_ms();
  view.input_tokens = message.input_tokens();
  view.output_tokens = message.output_tokens();
  view.cache_create_tokens = message.cache_create_tokens();
  view.cache_read_tokens = message.cache_read_tokens();
  view.ephemeral_5m_tokens = message.ephemeral_5m_tokens();
  view.ephemeral_1h_tokens = message.ephemeral_1h_tokens();
  view.cost_micros = message.cost_micros();
  view.real_cost_micros = message.real_cost_micros();
  return view;
}

MessageView ViewOf(const v1::MessageEvent& message) {
  MessageView view;
  view.ig_message_id = message.ig_message_id();
  view.ig_sender_id = message.ig_sender_id();
  view.ig_recipient_id = message.ig_recipient_id();
  if (message.has_text()) view.text = message.text();
  if (message.has_attachments_json()) view.attachments_json = message.attachments_json();
  view.timestamp_ms = message.timestamp_ms();
  if (message.has_raw_json()) view.raw_json = message.raw_json();
  if (message.has_conversation_id()) view.conversation_id = message.conversation_id();
  view.direction = message.direction();
  if (message.has_sender_username()) view.sender_username = message.sender_username();
  if (message.has_story_id()) view.story_id = message.story_id();
  if (message.has_story_url()) view.story_url = message.story_url();
  if (message.has_ad_id()) view.ad_id = message.ad_id();
  if (message.has_ad_link()) view.ad_link = message.ad_link();
  if (message.has_ad_title()) view.ad_title = message.ad_title();
  if (message.has_ad_image_url()) view.ad_image_url = message.ad_image_url();
  if (message.has_ad_name()) view.ad_name = message.ad_name();
  if (message.has_referral_json()) view.referral_json = message.referral_json();
  return view;
}

}  // namespace

EventView::EventView(const v1::Event& event) {
  if (event.has_occurred_at()) occurred_at = MomentOf(event.occurred_at());
  if (event.has_rate_limit()) {
    kind = ViewOf(event.rate_limit());
  } else if (event.has_usage()) {
    kind = ViewOf(event.usage());
  } else if (event.has_message()) {
    kind = ViewOf(event.message());
  }
}

}  // namespace holdfast::event
