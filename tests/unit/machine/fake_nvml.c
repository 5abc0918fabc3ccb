/* A stand-in for NVIDIA's libnvidia-ml.so.1: tests compile it, and the real pynvml loads it.
 *
 * Its world is a text file named by FAKE_NVML, one word and its value a line:
 *
 *   init CODE              what nvmlInit returns
 *   driver VERSION
 *   chatter                the library writes on stdout, as drivers should not
 *   gpu                    begins a GPU; what follows is about it
 *     name TEXT | uuid TEXT | pci TEXT
 *     total BYTES | free BYTES | load PERCENT | celsius C | milliwatts N
 *     ecc RECENT EVER      error correction is on, with so many uncorrectable errors
 *     rows PENDING FAILED  row remapping
 *     pages PENDING        page retirement
 *     mig                  MIG is on
 *     instance BYTES UUID NAME       an instance of it; "gap" is a number without one
 *     process PID BYTES KIND         KIND is c(ompute) or g(raphics); BYTES -1: not told
 *     fail QUESTION CODE   a question fails: handle, name, memory, ... (see `ask`)
 *     hang QUESTION | die QUESTION
 *
 * What the file does not say of a GPU is NVML_ERROR_NOT_SUPPORTED. Layouts are those of nvml.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7 };
enum { GPUS_MAX = 16, PARTS_MAX = 8, RULES_MAX = 16, TEXT = 96 };

typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

struct process { unsigned int pid; long long bytes; char kind; };
struct rule { char action[8], question[16]; int code; };
struct device {
    char name[TEXT], uuid[TEXT], pci[32];
    long long total, free, load, celsius, milliwatts;
    long long ecc_recent, ecc_ever, rows_pending, rows_failed, pages;
    int mig, parts, processes, rules;
    struct process process[PARTS_MAX];
    struct rule rule[RULES_MAX];
    struct device *part[PARTS_MAX]; /* NULL: a gap */
};

static int users, init_code, gpus;
static char driver[80];
static struct device *gpu[GPUS_MAX];

static struct device *new_device(void) {
    struct device *made = calloc(1, sizeof *made);
    made->total = made->free = made->load = made->celsius = made->milliwatts = -1;
    made->ecc_recent = made->rows_pending = made->pages = -1;
    return made;
}

static void read_line(const char *line) {
    struct device *d = gpus ? gpu[gpus - 1] : NULL;
    struct process p;
    struct rule r = {.code = 0};
    long long bytes;
    char uuid[TEXT], name[TEXT];
    if (sscanf(line, "init %d", &init_code) == 1 || sscanf(line, "driver %79[^\n]", driver) == 1)
        return;
    if (!strcmp(line, "chatter\n")) { puts("NVRM: hello"); fflush(stdout); return; }
    if (!strcmp(line, "gpu\n")) { gpu[gpus++] = new_device(); return; }
    if (!d) { fprintf(stderr, "fake_nvml: no gpu yet: %s", line); exit(70); }
    if (sscanf(line, " name %95[^\n]", d->name) == 1 || sscanf(line, " uuid %95s", d->uuid) == 1 ||
        sscanf(line, " pci %31s", d->pci) == 1 || sscanf(line, " total %lld", &d->total) == 1 ||
        sscanf(line, " free %lld", &d->free) == 1 || sscanf(line, " load %lld", &d->load) == 1 ||
        sscanf(line, " celsius %lld", &d->celsius) == 1 ||
        sscanf(line, " milliwatts %lld", &d->milliwatts) == 1 ||
        sscanf(line, " ecc %lld %lld", &d->ecc_recent, &d->ecc_ever) == 2 ||
        sscanf(line, " rows %lld %lld", &d->rows_pending, &d->rows_failed) == 2 ||
        sscanf(line, " pages %lld", &d->pages) == 1)
        return;
    if (strstr(line, " mig\n")) { d->mig = 1; return; }
    if (strstr(line, " gap\n")) { d->part[d->parts++] = NULL; return; }
    if (sscanf(line, " instance %lld %95s %95[^\n]", &bytes, uuid, name) == 3) {
        struct device *part = d->part[d->parts++] = new_device();
        part->total = part->free = bytes;
        strcpy(part->uuid, uuid);
        strcpy(part->name, name);
        return;
    }
    if (sscanf(line, " process %u %lld %c", &p.pid, &p.bytes, &p.kind) == 3) {
        d->process[d->processes++] = p;
        return;
    }
    if (sscanf(line, " %7s %15s %d", r.action, r.question, &r.code) >= 2) {
        d->rule[d->rules++] = r;
        return;
    }
    fprintf(stderr, "fake_nvml: cannot read: %s", line);
    exit(70);
}

/* Open the file that a variable names, for a test that waits for us or looks whether we came by. */
static void leave_mark(const char *variable) {
    const char *mark = getenv(variable);
    if (mark) fclose(fopen(mark, "w"));
}

/* The code of one question about a GPU: the rule for it, else whether there is an answer. */
static int ask(struct device *d, const char *question, int is_known) {
    for (int i = 0; i < d->rules; i++) {
        if (strcmp(d->rule[i].question, question)) continue;
        if (!strcmp(d->rule[i].action, "hang")) {
            leave_mark("FAKE_NVML_HANGS");
            for (;;) pause();
        }
        if (!strcmp(d->rule[i].action, "die")) raise(SIGSEGV);
        return d->rule[i].code;
    }
    return is_known ? SUCCESS : NOT_SUPPORTED;
}

static int number(struct device *d, const char *question, long long value, unsigned int *out) {
    int code = ask(d, question, value >= 0);
    if (!code) *out = (unsigned int)value;
    return code;
}

static int text(struct device *d, const char *question, const char *value, char *out,
                unsigned int size) {
    int code = ask(d, question, value[0] != 0);
    if (!code) snprintf(out, size, "%s", value);
    return code;
}

int nvmlInitWithFlags(unsigned int flags) {
    char line[512];
    FILE *world = fopen(getenv("FAKE_NVML"), "r");
    (void)flags;
    while (world && fgets(line, sizeof line, world)) read_line(line);
    if (!init_code) users = 1;
    return init_code;
}

int nvmlShutdown(void) {
    leave_mark("FAKE_NVML_SHUT");
    return users ? SUCCESS : UNINITIALIZED;
}

const char *nvmlErrorString(int code) { return code == 999 ? "Unknown Error" : "an error"; }

int nvmlSystemGetDriverVersion(char *out, unsigned int size) {
    snprintf(out, size, "%s", driver);
    return driver[0] ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = (unsigned int)gpus; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct device **out) {
    if ((int)index >= gpus) return INVALID_ARGUMENT;
    *out = gpu[index];
    return ask(*out, "handle", 1);
}

int nvmlDeviceGetName(struct device *d, char *out, unsigned int size) {
    return text(d, "name", d->name, out, size);
}

int nvmlDeviceGetUUID(struct device *d, char *out, unsigned int size) {
    return text(d, "uuid", d->uuid, out, size);
}

int nvmlDeviceGetPciInfo_v3(struct device *d, nvmlPciInfo_t *out) {
    int code = ask(d, "pci", d->pci[0] != 0);
    memset(out, 0, sizeof *out);
    strcpy(out->busId, d->pci);
    return code;
}

int nvmlDeviceGetMemoryInfo(struct device *d, nvmlMemory_t *out) {
    int code = ask(d, "memory", d->total >= 0);
    if (code) return code;
    out->total = (unsigned long long)d->total;
    out->free = (unsigned long long)d->free;
    out->used = out->total - out->free;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(struct device *d, nvmlUtilization_t *out) {
    out->memory = 0;
    return number(d, "load", d->load, &out->gpu);
}

int nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned int *out) {
    return sensor ? INVALID_ARGUMENT : number(d, "celsius", d->celsius, out);
}

int nvmlDeviceGetPowerUsage(struct device *d, unsigned int *out) {
    return number(d, "milliwatts", d->milliwatts, out);
}

int nvmlDeviceGetMigMode(struct device *d, unsigned int *now, unsigned int *next) {
    *now = *next = (unsigned int)d->mig;
    return ask(d, "mig", 1);
}

int nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned int *out) {
    return number(d, "instances", d->parts, out);
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned int index,
                                        struct device **out) {
    if ((int)index >= d->parts || !d->part[index]) return NOT_FOUND;
    *out = d->part[index];
    return SUCCESS;
}

int nvmlDeviceGetEccMode(struct device *d, unsigned int *now, unsigned int *next) {
    *now = *next = 1;
    return ask(d, "ecc", d->ecc_recent >= 0);
}

int nvmlDeviceGetTotalEccErrors(struct device *d, int type, int counter,
                                unsigned long long *out) {
    if (type != 1) return INVALID_ARGUMENT; /* 1: uncorrectable */
    *out = (unsigned long long)(counter ? d->ecc_ever : d->ecc_recent);
    return ask(d, "errors", 1);
}

int nvmlDeviceGetRemappedRows(struct device *d, unsigned int *corrected, unsigned int *uncorrected,
                              unsigned int *pending, unsigned int *failed) {
    *corrected = *uncorrected = 0;
    *pending = (unsigned int)d->rows_pending;
    *failed = (unsigned int)d->rows_failed;
    return ask(d, "rows", d->rows_pending >= 0);
}

int nvmlDeviceGetRetiredPagesPendingStatus(struct device *d, unsigned int *out) {
    return number(d, "pages", d->pages, out);
}

static int processes(struct device *d, char kind, unsigned int *count, nvmlProcessInfo_t *out) {
    unsigned int found = 0, room = *count;
    int code = ask(d, "processes", 1);
    if (code) return code;
    for (int i = 0; i < d->processes; i++) {
        if (d->process[i].kind != kind) continue;
        if (out && found < room)
            out[found] = (nvmlProcessInfo_t){.pid = d->process[i].pid,
                                             .usedGpuMemory =
                                                 (unsigned long long)d->process[i].bytes};
        found++;
    }
    *count = found;
    return found > (out ? room : 0) ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, unsigned int *count,
                                            nvmlProcessInfo_t *out) {
    return processes(d, 'c', count, out);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *d, unsigned int *count,
                                             nvmlProcessInfo_t *out) {
    return processes(d, 'g', count, out);
}

/* Not of NVML: how large its structures are here, for the test that compares them with pynvml's. */
unsigned int fake_size_of(const char *name) {
    if (!strcmp(name, "c_nvmlMemory_t")) return sizeof(nvmlMemory_t);
    if (!strcmp(name, "c_nvmlUtilization_t")) return sizeof(nvmlUtilization_t);
    if (!strcmp(name, "nvmlPciInfo_t")) return sizeof(nvmlPciInfo_t);
    if (!strcmp(name, "c_nvmlProcessInfo_t")) return sizeof(nvmlProcessInfo_t);
    return 0;
}
