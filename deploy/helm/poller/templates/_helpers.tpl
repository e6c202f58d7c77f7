{{- define "poller.name" -}}{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}{{- end }}

{{- define "poller.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "poller.name" .) .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name (include "poller.name" .) | trunc 52 | trimSuffix "-" }}{{- end }}
{{- end }}

{{- define "poller.selector" -}}
app.kubernetes.io/name: {{ include "poller.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "poller.labels" -}}
{{ include "poller.selector" . }}
app.kubernetes.io/component: poller
app.kubernetes.io/part-of: poller
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "poller.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "poller.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "poller.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- /* The configuration with what the chart decides: where the cache lies, where the probes look, the seat in the group. */ -}}
{{- define "poller.config" -}}
{{- $decided := dict "state" (dict "directory" "/var/lib/poller/state") "admin" (dict "listen" "0.0.0.0:8080") }}
{{- if .Values.staticMembership }}{{ $_ := set $decided "kafka" (dict "instance_id" (dict "env" "POD_NAME")) }}{{ end }}
{{- mustMergeOverwrite (deepCopy .Values.config) $decided | toYaml }}
{{- end }}

{{- define "poller.securityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "poller.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "poller.sharedVolumes" -}}
- name: config
  configMap: {name: {{ include "poller.fullname" . }}, defaultMode: 0444}
- name: secrets
  secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
{{- end }}

{{- define "poller.sharedMounts" -}}
- {name: config, mountPath: /etc/poller, readOnly: true}
- {name: secrets, mountPath: /run/secrets/poller, readOnly: true}
{{- end }}

{{- define "poller.podName" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
