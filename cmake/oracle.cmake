# weft_otlp_oracle: the official OTLP classes, to check our schema and encoders against. Tests only.
#
# Debian's libopentelemetry-proto-dev carries the generated sources and no library, so they are compiled here. They are
# bound to the Protobuf version that generated them; on another release they may not compile, hence the trial.
# WEFT_OTLP_ORACLE: AUTO takes it when it is found and compiles, ON insists (CI), OFF leaves it out.
include_guard(GLOBAL)
set(WEFT_OTLP_ORACLE AUTO CACHE STRING "Check against the official OTLP classes: AUTO, ON or OFF")
set_property(CACHE WEFT_OTLP_ORACLE PROPERTY STRINGS AUTO ON OFF)

function(weft_find_otlp_oracle)
  find_path(WEFT_OTLP_ORACLE_DIR opentelemetry/proto/trace/v1/trace.pb.cc)
  mark_as_advanced(WEFT_OTLP_ORACLE_DIR)
  if(NOT WEFT_OTLP_ORACLE_DIR)
    set(why "opentelemetry/proto/trace/v1/trace.pb.cc was not found; install libopentelemetry-proto-dev")
  else()
    try_compile(WEFT_OTLP_ORACLE_COMPILES
      ${CMAKE_BINARY_DIR}/CMakeFiles/weft_otlp_oracle
      SOURCES ${WEFT_OTLP_ORACLE_DIR}/opentelemetry/proto/common/v1/common.pb.cc
              ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/oracle_main.cpp
      LINK_LIBRARIES protobuf::libprotobuf
      CXX_STANDARD 17)
    if(NOT WEFT_OTLP_ORACLE_COMPILES)
      set(why "the sources in ${WEFT_OTLP_ORACLE_DIR} do not fit this Protobuf")
    endif()
  endif()
  if(why AND WEFT_OTLP_ORACLE STREQUAL "AUTO")
    message(STATUS "OTLP oracle tests are left out: ${why}")
    return()
  elseif(why)
    message(FATAL_ERROR "WEFT_OTLP_ORACLE is ${WEFT_OTLP_ORACLE}, but ${why}")
  endif()

  set(root ${WEFT_OTLP_ORACLE_DIR}/opentelemetry/proto)
  add_library(weft_otlp_oracle STATIC
    ${root}/common/v1/common.pb.cc
    ${root}/resource/v1/resource.pb.cc
    ${root}/trace/v1/trace.pb.cc
    ${root}/metrics/v1/metrics.pb.cc
    ${root}/logs/v1/logs.pb.cc
    ${root}/collector/trace/v1/trace_service.pb.cc
    ${root}/collector/metrics/v1/metrics_service.pb.cc
    ${root}/collector/logs/v1/logs_service.pb.cc)
  target_compile_features(weft_otlp_oracle PUBLIC cxx_std_20)
  target_include_directories(weft_otlp_oracle SYSTEM PUBLIC ${WEFT_OTLP_ORACLE_DIR})
  target_link_libraries(weft_otlp_oracle PUBLIC protobuf::libprotobuf PRIVATE weft_flags)
  target_compile_options(weft_otlp_oracle PRIVATE -w)
  message(STATUS "OTLP oracle: ${root}")
endfunction()

if(WEFT_OTLP_ORACLE)
  weft_find_otlp_oracle()
endif()
