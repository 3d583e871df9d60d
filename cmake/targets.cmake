# weft_module(NAME DIR PUBLIC_HEADERS... SOURCES... ) and the flags our own code is compiled with.
# Flags sit on targets, never on directories, and never reach a consumer.
include(GNUInstallDirs)

add_library(weft_flags INTERFACE)
target_compile_features(weft_flags INTERFACE cxx_std_20)
target_compile_options(weft_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  $<$<CXX_COMPILER_ID:GNU>:-fcoroutines;-fno-semantic-interposition>)
if(WEFT_SANITIZE)  # Not a generator expression: the comma in "address,undefined" would end its argument.
  target_compile_options(weft_flags INTERFACE
    -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(weft_flags INTERFACE -fsanitize=${WEFT_SANITIZE})
endif()
# GCC 12 sees overlapping copies in `"text" + std::string` at -O2 and above (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(weft_flags INTERFACE -Wno-restrict)
endif()
# GCC 12 reports TSan's missing fence support for Asio's own atomic_thread_fence; TSan itself is unaffected.
if(WEFT_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weft_flags INTERFACE -Wno-tsan)
endif()
if(WEFT_SANITIZE)
  target_compile_definitions(weft_flags INTERFACE WEFT_ASSERTIONS=1)
else()
  target_compile_definitions(weft_flags INTERFACE $<$<CONFIG:Debug>:WEFT_ASSERTIONS=1>)
endif()
option(WEFT_WARNINGS_AS_ERRORS "Treat warnings in our own code as errors" ${PROJECT_IS_TOP_LEVEL})
if(WEFT_WARNINGS_AS_ERRORS)
  target_compile_options(weft_flags INTERFACE -Werror)
endif()

# One library per module: static unless BUILD_SHARED_LIBS, alias weft::<name>, headers as a file set.
# weft_module(<name> HEADERS <public...> SOURCES <private...> PUBLIC <targets...> PRIVATE <targets...>)
function(weft_module name)
  cmake_parse_arguments(arg "NO_INSTALL" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target weft_${name})
  add_library(${target} ${arg_SOURCES})
  add_library(weft::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  target_include_directories(${target} PRIVATE src)
  target_compile_features(${target} PUBLIC cxx_std_20)
  # GCC 12 in C++20 mode turns coroutines on by itself; nothing else is asked of a consumer.
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:weft_flags>)
  if(WEFT_BUILD_FUZZ)  # What fuzzers steer by; nothing to programs that are none.
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON
                        POSITION_INDEPENDENT_CODE ON)
  if(NOT arg_NO_INSTALL)
    install(TARGETS ${target} EXPORT weft FILE_SET HEADERS)
  endif()
endfunction()

# weft_test(<name> SOURCES <files...> LINK <targets...> [LABELS <labels...>] [APART <files...>]): a GoogleTest binary under
# ctest. Compiled several files at a time, but for those to be apart: two of them use one name for two things.
function(weft_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LABELS;APART" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} weft_test_support weft_flags)
  # The tests' own code gains nothing from optimisation and its compilers lose minutes: a file full of coroutines took
  # 51 s at -O1 under ASan and UBSan, 21 s at -O0. What it tests is compiled as the preset says.
  target_compile_options(${name} PRIVATE -O0)
  # What most of its minutes go to is the headers of Asio and GoogleTest, the same in every file. Not by GCC 12: it refuses
  # coroutines in the anonymous namespace of an included source file.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
  endif()
  if(arg_APART)
    set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${arg_LABELS}")
endfunction()

# weft_program(<name> SOURCES <files...> LINK <targets...>): lands in <build>/bin.
function(weft_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} weft_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()
