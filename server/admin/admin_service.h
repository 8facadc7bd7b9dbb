// The service that operators call; it shares the gateways' listener.

#pragma once

#include <grpcpp/grpcpp.h>

#include "holdfast/v1/admin.grpc.pb.h"
#include "server/admin/background.h"
#include "server/admin/daemon_view.h"
#include "server/base/clock.h"
#include "server/mysql/session.h"

namespace holdfast::admin {

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // All must outlive the service's last call.
  AdminService(DaemonView& daemon, mysql::SessionSource& sessions, base::Clock& clock);

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusResponse* response) override;
  grpc::ServerUnaryReactor* GetHistory(grpc::CallbackServerContext* context,
                                       const v1::GetHistoryRequest* request,
                                       v1::GetHistoryResponse* response) override;
  grpc::ServerUnaryReactor* ListQuarantine(grpc::CallbackServerContext* context,
                                           const v1::ListQuarantineRequest* request,
                                           v1::ListQuarantineResponse* response) override;
  grpc::ServerUnaryReactor* ListCircuits(grpc::CallbackServerContext* context,
                                         const v1::ListCircuitsRequest* request,
                                         v1::ListCircuitsResponse* response) override;
  grpc::ServerUnaryReactor* ResetCircuit(grpc::CallbackServerContext* context,
                                         const v1::ResetCircuitRequest* request,
                                         v1::ResetCircuitResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;
  grpc::ServerUnaryReactor* Diagnose(grpc::CallbackServerContext* context,
                                     const v1::DiagnoseRequest* request,
                                     v1::DiagnoseResponse* response) override;

 private:
  DaemonView& daemon_;
  mysql::SessionSource& sessions_;
  base::Clock& clock_;
  Background background_;
  Background diagnoses_;
};

}  // namespace holdfast::admin
