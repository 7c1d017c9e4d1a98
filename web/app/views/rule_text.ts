import type { Rule } from '../api/types'

/** A retention rule as it is typed. */
export interface RuleText {
  keepDays: string
  /** Empty: no summary is kept. */
  summaryDays: string
  namePrefix: string
  createdBy: string
  /** With commas between. */
  tags: string
  states: NonNullable<Rule['states']>
  expression: string
  enabled: boolean
}

const DAYS_MAX = 36_500
const SUMMARY_DAYS_MAX = 7_000
const TAGS_MAX = 32
const TAG_MAX = 64
const TEXT_MAX = 256

export function textOf(rule: Rule | undefined): RuleText {
  return {
    keepDays: rule ? `${rule.keepDays}` : '',
    summaryDays: rule?.summaryDays ? `${rule.summaryDays}` : '',
    namePrefix: rule?.namePrefix ?? '',
    createdBy: rule?.createdBy ?? '',
    tags: (rule?.tags ?? []).join(', '),
    states: rule?.states ?? [],
    expression: rule?.expression ?? '',
    enabled: rule?.enabled ?? true,
  }
}

/** The rule, if it is within the limits; the service alone knows whether an expression is right. */
export function ruleOf(text: RuleText): Rule | undefined {
  const keepDays = daysOf(text.keepDays, 0, DAYS_MAX)
  const isSummarized = text.summaryDays.trim() !== ''
  const summaryDays = isSummarized ? daysOf(text.summaryDays, 1, SUMMARY_DAYS_MAX) : 0
  if (keepDays === undefined || summaryDays === undefined) return undefined
  const tags = text.tags
    .split(',')
    .map((tag) => tag.trim())
    .filter(Boolean)
  if (tags.length > TAGS_MAX || tags.some((tag) => [...tag].length > TAG_MAX)) return undefined
  if (text.namePrefix.length > TEXT_MAX || text.createdBy.length > TEXT_MAX) return undefined
  return {
    keepDays,
    ...(summaryDays > 0 && { summaryDays }),
    ...(text.namePrefix && { namePrefix: text.namePrefix }),
    ...(text.createdBy && { createdBy: text.createdBy }),
    ...(tags.length > 0 && { tags }),
    ...(text.states.length > 0 && { states: text.states }),
    ...(text.expression.trim() && { expression: text.expression.trim() }),
    enabled: text.enabled,
  }
}

function daysOf(text: string, least: number, most: number): number | undefined {
  const days = text.trim()
  const count = Number(days)
  return /^[0-9]{1,5}$/.test(days) && count >= least && count <= most ? count : undefined
}
