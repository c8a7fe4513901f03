include $(sort $(wildcard $(BR2_EXTERNAL_IVT_PATH)/package/*/*.mk))
