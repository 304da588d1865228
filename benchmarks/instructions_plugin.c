// A QEMU plugin (API version 1, QEMU 4.2 to 8.2) that counts the instructions a program executes and prints the count
// whenever the program makes the system call 100000, which does not exist.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))

enum { kMark = 100000, kNoRegisters = 0 };

// What QEMU offers; its header is in no package.
struct qemu_plugin_tb;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t id, struct qemu_plugin_tb* block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* block, void (*call)(unsigned cpu, void* data),
                                          int flags, void* data);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t id, void (*call)(uint64_t id, unsigned cpu, int64_t number,
                                                                    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                    uint64_t, uint64_t, uint64_t));

EXPORTED int qemu_plugin_version = 1;

static uint64_t executed;

static void on_block(unsigned cpu, void* instructions) {
  (void)cpu;
  executed += (uintptr_t)instructions;
}

static void on_translation(uint64_t id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, kNoRegisters, (void*)qemu_plugin_tb_n_insns(block));
}

static void on_call(uint64_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                    uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number == kMark) fprintf(stderr, "mark %" PRIu64 "\n", executed);
}

EXPORTED int qemu_plugin_install(uint64_t id, const void* info, int argc, char** argv) {
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_call);
  return 0;
}
