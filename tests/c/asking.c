/* A team's job whose caller asks and waits for the answer, for a test of what that counts as. */
#include "threads.c"

static int answer_late(void) {
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    return 7;
}

static void ask_on_caller(void *ctx, int thread, int threads, fl_team *t) {
    (void)threads, (void)t;
    if (!thread) *(int *)ctx = fl_ask(answer_late);
}

/* ns that the job's threads were without a core, as the team has it; -1 for a wrong answer. */
int64_t gone_while_asking(void) {
    int answer = 0;
    fl_run(2, 0, ask_on_caller, &answer);
    return answer == 7 ? atomic_load(&team.gone) : -1;
}
