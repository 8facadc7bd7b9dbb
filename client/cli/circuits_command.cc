#include "client/cli/circuits_command.h"

#include <iostream>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "client/cli/admin_call.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

std::string StateOf(const v1::Circuit& circuit) {
  switch (circuit.state()) {
    case v1::CIRCUIT_STATE_CLOSED:
      return Paint(Colour::kGood, absl::StrFormat("%-9s", "closed"));
    case v1::CIRCUIT_STATE_OPEN:
      return Paint(Colour::kBad, absl::StrFormat("%-9s", "OPEN"));
    case v1::CIRCUIT_STATE_HALF_OPEN:
      return Paint(Colour::kWarning, absl::StrFormat("%-9s", "half-open"));
    default:
      return absl::StrFormat("%-9s", "unknown");
  }
}

std::string Since(const google::protobuf::Timestamp& time) {
  return absl::FormatDuration(
      absl::Trunc(absl::Now() - absl::FromUnixSeconds(time.seconds()), absl::Seconds(1)));
}

absl::StatusOr<int> RunLs(const Arguments& arguments) {
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("circuits ls", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const auto found = caller->Call(&AdminCaller::Stub::ListCircuits, v1::ListCircuitsRequest());
  if (!found.ok()) return caller->Failed(found.status());
  std::cout << absl::StrFormat("%-12s %-9s %-14s %s\n", "Circuit", "state", "failures", "for");
  bool closed = true;
  for (const v1::Circuit& circuit : found->circuits()) {
    // Not set if it never changed.
    const std::string since =
        circuit.has_last_state_change() ? Since(circuit.last_state_change()) : "ever";
    std::cout << absl::StrFormat("%-12s %s %-14s %s\n", circuit.name(), StateOf(circuit),
                                 absl::StrCat(circuit.failures(), " of ", circuit.attempts()),
                                 since);
    if (circuit.has_last_failure_time()) {
      std::cout << "    last failure, " << Since(circuit.last_failure_time())
                << " ago: " << circuit.last_failure() << "\n";
    }
    closed = closed && circuit.state() == v1::CIRCUIT_STATE_CLOSED;
  }
  return closed ? kExitOk : kExitRejected;
}

absl::StatusOr<int> RunReset(const Arguments& arguments) {
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("circuits reset", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  v1::ResetCircuitRequest request;
  request.set_name(arguments.positional()[0]);
  const auto reset = caller->Call(&AdminCaller::Stub::ResetCircuit, request);
  if (!reset.ok()) return caller->Failed(reset.status());
  std::cout << "closed; the next batch tries the database at once\n";
  return kExitOk;
}

}  // namespace

const Command& CircuitsLsCommand() {
  static const auto& command = *new Command{
      .name = "circuits ls",
      .group = CommandGroup::kLooking,
      .summary = "Lists the circuit breakers towards the database.",
      .description =
          R"(Lists the circuit breakers towards the database. One that is open keeps every lane from
hammering a database that does not answer; it lets single attempts through from time to time, and
closes by itself when one succeeds.
)",
      .flags = {ToFlag(), TimeoutFlag("How long to wait for the answer. Default: 5s")},
      .endings = {{kExitOk, "all are closed"},
                  {kExitRejected, "one is open or half-open"},
                  {kExitUnavailable, kUnreachableEnding}},
      .run = RunLs};
  return command;
}

const Command& CircuitsResetCommand() {
  static const auto& command = *new Command{
      .name = "circuits reset",
      .group = CommandGroup::kMending,
      .summary = "Closes a circuit breaker, so that the next batch is tried at once.",
      .description =
          R"(Closes a circuit breaker, so that the next batch is tried at once: for when the
database is known to be back. If it is not, the breaker opens again.
)",
      .operands = "NAME",
      .operands_min = 1,
      .operands_max = 1,
      .operand_choices = {"database"},
      .flags = {ToFlag(), TimeoutFlag("How long to wait for the answer. Default: 5s")},
      .endings = {{kExitOk, "it is closed"},
                  {kExitRejected, "there is none of that name"},
                  {kExitUnavailable, kUnreachableEnding}},
      .run = RunReset};
  return command;
}

}  // namespace holdfast::client
